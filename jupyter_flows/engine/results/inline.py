"""A small result that is its own location: JSON text."""

from __future__ import annotations

import json
from typing import Any, Self

from jupyter_flows.engine.results.base import Location, Result
from jupyter_flows.engine.serializers import JSONSerializer


class PrefectResult(Result):
    """A value as JSON in place of a location; Prefect 1's name for it.

    Examples
    --------
    >>> PrefectResult().write([1, 2]).location
    '[1, 2]'
    """

    def __init__(self, value: Any = None, location: Location | None = None) -> None:
        super().__init__(value, location, JSONSerializer())

    def write(self, value: Any, /, **names: Any) -> Self:
        """Return a copy whose location is the value."""
        del names
        made = self.from_value(value)
        made.location = json.dumps(value)
        return made

    def read_bytes(self, location: str) -> bytes:
        """Return the text."""
        return location.encode()

    def write_bytes(self, location: str, data: bytes) -> None:
        """Nothing: the location is the value."""

    def has_bytes(self, location: str) -> bool:
        """Whether it is JSON."""
        try:
            json.loads(location)
        except ValueError:
            return False
        return True
