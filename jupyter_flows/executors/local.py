"""One task at a time, in this thread, in order (Prefect 1's default)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class LocalExecutor:
    """Calls each function when its value is asked for.

    Examples
    --------
    >>> executor = LocalExecutor()
    >>> executor.submit("a", lambda: 1)
    >>> executor.next_done(None)
    ('a', 1)
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, Callable[[], Any]]] = deque()

    def start(self) -> None:
        """Nothing to get ready."""
        self._waiting.clear()

    def shutdown(self) -> None:
        """Nothing to let go of."""
        self._waiting.clear()

    def submit(self, key: Any, function: Callable[[], Any]) -> None:
        """Keep *function* until it is its turn."""
        self._waiting.append((key, function))

    def has_room(self) -> bool:
        """Whether nothing waits: one task at a time, so that the order is the flow's."""
        return not self._waiting

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Call the next function, here and now."""
        del timeout_s
        if not self._waiting:
            return None
        key, function = self._waiting.popleft()
        return key, function()
