"""A result that is always there: a constant."""

from __future__ import annotations

from typing import Any, Self

from jupyter_flows.engine.results.base import Result


class ConstantResult(Result):
    """A value that needs no keeping.

    Examples
    --------
    >>> ConstantResult(5).read("").value
    5
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)

    def read(self, location: str) -> Self:
        """Return itself."""
        del location
        return self

    def write(self, value: Any, /, **names: Any) -> Self:
        """Refuse.

        Raises
        ------
        ValueError : always; a constant is not written.
        """
        del value, names
        msg = "a constant is not written"
        raise ValueError(msg)

    def exists(self, location: str, **names: Any) -> bool:
        """It is."""
        del location, names
        return True
