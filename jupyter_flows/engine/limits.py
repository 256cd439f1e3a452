"""Calls that may take only so long. In the main thread they are stopped; elsewhere they are left behind.

Python can interrupt code in the main thread only (by a signal). In another thread the caller gets its
answer in time, but the code goes on until it ends by itself: the message says so.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

R = TypeVar("R")


class TaskTimedOut(Exception):
    """An attempt took longer than its timeout; the text says how long, and whether it goes on."""


class _TimeIsUp(BaseException):
    """Rings inside the task's code; no ``Exception``, so that ``except Exception`` lets it pass."""


def call_within(timeout_s: float, function: Callable[[], R]) -> R:
    """Call *function*; give up after *timeout_s*.

    Raises
    ------
    TaskTimedOut : it took longer.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        with alarm(timeout_s):
            return function()
    return _in_thread(function, timeout_s)


@contextmanager
def alarm(timeout_s: float) -> Iterator[None]:
    """Interrupt the block after *timeout_s*; main thread only. An alarm that was set before goes on.

    Raises
    ------
    TaskTimedOut : even if the block caught the interruption and went on.
    """
    rang = False

    def ring(_number: int, _frame: Any) -> None:
        nonlocal rang
        rang = True
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, timeout_s)
    began = time.monotonic()
    try:
        yield
    except _TimeIsUp:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001), interval_s)
    if rang:
        msg = f"took longer than {timeout_s:g} s"
        raise TaskTimedOut(msg)


def _in_thread(function: Callable[[], R], timeout_s: float) -> R:
    outcome: list[tuple[bool, Any]] = []
    context = copy_context()

    def target() -> None:
        try:
            outcome.append((True, context.run(function)))
        except BaseException as error:  # noqa: BLE001 - carried to the caller
            outcome.append((False, error))

    thread = threading.Thread(target=target, daemon=True, name="task with a timeout")
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        msg = f"took longer than {timeout_s:g} s; it cannot be stopped in a thread and may still be running"
        raise TaskTimedOut(msg)
    is_value, found = outcome[0]
    if is_value:
        value: R = found
        return value
    raise found
