"""One task at a time, in this thread, in order (Prefect 1's default)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar


class LocalExecutor:
    """Calls one task at a time, in the thread that runs the flow, in the order of the flow.

    Examples
    --------
    >>> calls = LocalExecutor().open()
    >>> calls.submit("a", lambda: 1)
    >>> calls.next_done(None)
    ('a', 1)
    """

    kind: ClassVar[str] = "local"
    runs_cells: ClassVar[bool] = True

    def __repr__(self) -> str:
        return "LocalExecutor()"

    def open(self) -> LocalCalls:
        """Get ready for one run."""
        return LocalCalls()


class LocalCalls:
    """Keeps a call until its value is asked for."""

    def __init__(self) -> None:
        self._waiting: tuple[Any, Callable[..., Any], tuple[Any, ...]] | None = None

    def has_room(self) -> bool:
        """Whether nothing waits: one at a time, so that the order is the flow's."""
        return self._waiting is None

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Keep *function* until it is its turn."""
        self._waiting = key, function, args

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Call the function that waits, here and now."""
        del timeout_s
        if self._waiting is None:
            return None
        key, function, args = self._waiting
        self._waiting = None
        return key, function(*args)

    def interrupt(self) -> None:
        """Nothing: the interrupt came through the call itself."""

    def close(self) -> None:
        """Forget what waits."""
        self._waiting = None
