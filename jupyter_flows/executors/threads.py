"""Several tasks at a time, in threads of this process."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any


class ThreadExecutor:
    """Calls functions in a pool of threads.

    Parameters
    ----------
    max_workers : int
        Most tasks at once.
    """

    def __init__(self, max_workers: int = 8) -> None:
        self.max_workers = max_workers
        self._pool: ThreadPoolExecutor | None = None
        self._done: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._under_way = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"max_workers": self.max_workers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["max_workers"])  # type: ignore[misc]

    def start(self) -> None:
        """Start the pool."""
        self._pool = ThreadPoolExecutor(self.max_workers, thread_name_prefix="flow")

    def shutdown(self) -> None:
        """Wait for what is under way; drop what has not begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def submit(self, key: Any, function: Callable[[], Any]) -> None:
        """Hand *function* to a thread, with the present context."""
        assert self._pool is not None
        self._under_way += 1
        context = copy_context()
        self._pool.submit(lambda: self._done.put((key, context.run(function))))

    def has_room(self) -> bool:
        """Whether a thread is free."""
        return self._under_way < self.max_workers

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Wait for the next value."""
        try:
            found = self._done.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._under_way -= 1
        return found
