"""Several tasks at a time, in threads of this process."""

from __future__ import annotations

import ctypes
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from jupyter_flows.executors.base import at_least_one

SLICE_S = 0.25
"""How long the run waits at a stretch for its calls."""
STOP_GRACE_S = 2.0
"""How long interrupted calls may take to end before they are left behind."""


class ThreadExecutor:
    """Calls up to *max_workers* tasks at a time, in threads of this process.

    Good for tasks that wait (files, networks, databases, sleeping); Python code that computes runs one
    thread at a time. Cells of a notebook share one namespace and are called one by one.

    Parameters
    ----------
    max_workers : int
        Most tasks at once.

    Raises
    ------
    InvalidFlow : *max_workers* is less than 1.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("both", executor=ThreadExecutor(2)) as flow:
    ...     ones = [task(lambda: 1)() for _ in range(2)]
    >>> flow.run().is_successful()
    True
    """

    kind: ClassVar[str] = "threads"
    runs_cells: ClassVar[bool] = True

    def __init__(self, max_workers: int = 8) -> None:
        self.max_workers = at_least_one(max_workers, "ThreadExecutor: max_workers")

    def __repr__(self) -> str:
        return f"ThreadExecutor(max_workers={self.max_workers})"

    def open(self) -> ThreadCalls:
        """Get ready for one run; threads start as they are needed."""
        return ThreadCalls(self.max_workers)


class ThreadCalls:
    """Threads of one run. They are daemons: one that will not end does not keep the program from ending."""

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._threads: list[threading.Thread] = []
        self._asked: queue.SimpleQueue[tuple[Any, Callable[..., Any], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )
        self._done: queue.SimpleQueue[tuple[Any, Any, BaseException | None]] = queue.SimpleQueue()
        self._busy: set[int] = set()
        self._under_way = 0

    def has_room(self) -> bool:
        """Whether a thread is free."""
        return self._under_way < self._max_workers

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Hand *function* to a thread."""
        self._under_way += 1
        if self._under_way > len(self._threads):
            name = f"flow task {len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._asked.put((key, function, args))

    def _work(self) -> None:
        me = threading.get_ident()
        while True:
            try:
                asked = self._asked.get()
                if asked is None:
                    return
            except KeyboardInterrupt:  # meant for a call that has just ended
                continue
            key, function, args = asked
            self._busy.add(me)
            try:
                value = function(*args)
            except BaseException as error:  # noqa: BLE001 - raised again where the run waits
                self._done.put((key, None, error))
            else:
                self._done.put((key, value, None))
            finally:
                self._busy.discard(me)

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Wait for the next value."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            # In slices: a signal that the system hands to another thread does not wake this one, in which
            # alone an interrupt is heard.
            left_s = SLICE_S if until is None else min(SLICE_S, max(0.0, until - time.monotonic()))
            try:
                key, value, error = self._done.get(timeout=left_s)
            except queue.Empty:
                if until is not None and time.monotonic() >= until:
                    return None
            else:
                break
        self._under_way -= 1
        if error is not None:
            raise error
        return key, value

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the threads at their next line of Python, and wait a moment for them.

        A thread inside a C function (a query, a sleep) hears of it when that returns.
        """
        for ident in list(self._busy):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt)
            )
        until = time.monotonic() + STOP_GRACE_S
        while self._busy and time.monotonic() < until:
            try:
                self._done.get(timeout=0.05)
            except queue.Empty:
                continue

    def close(self) -> None:
        """Let the threads end after what they do now."""
        for _ in self._threads:
            self._asked.put(None)
        self._threads.clear()
