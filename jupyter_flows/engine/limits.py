"""Calls that may take only so long, and what becomes of those that take longer.

Python can interrupt code in the main thread only (by a signal). So a body with a timeout runs

1. in the main thread, where an alarm raises in it: under a LocalExecutor, which waits for what does not let
   the alarm in (a call of C, code that catches everything) and says so, and in the processes of a
   ProcessExecutor, which kills that;
2. elsewhere (in threads, on Dask) in a process of its own, which is killed with all that it started, if the
   task and its inputs can be pickled (:mod:`jupyter_flows.engine.apart`);
3. else in a thread: an exception is raised at its next line of Python. If it is inside a C function, the
   caller gets its answer in time, and the message says that the body may still be running.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

R = TypeVar("R")

RING_AGAIN_S = 5.0
"""How long a body that was interrupted may take to clean up before it is interrupted again."""
LATE_S = 1.0
"""How long a body may take to clean up after an alarm before that is told."""
END_S = 0.25
"""How long a body in a thread may take to end after it was interrupted."""
LOOK_EVERY_S = 0.1
"""How long a thread waits in one go: an interrupt of the run reaches it between two."""


class TaskTimedOut(Exception):
    """An attempt took longer than its timeout; the text says how long, and whether it goes on."""


class RunTimedOut(TaskTimedOut):
    """The time of the whole run is over: no task is tried again."""


class _TimeIsUp(BaseException):
    """Rings inside the task's code; no ``Exception``, so that ``except Exception`` lets it pass."""


def can_alarm() -> bool:
    """Whether code that runs here can be interrupted by a signal."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


def call_within(timeout_s: float, function: Callable[[], R]) -> R:
    """Call *function*; give up after *timeout_s*.

    Raises
    ------
    TaskTimedOut : it took longer.

    Examples
    --------
    >>> call_within(10, lambda: 1)
    1
    """
    if can_alarm():
        with alarm(timeout_s):
            return function()
    return _in_thread(function, timeout_s)


@contextmanager
def alarm(timeout_s: float) -> Iterator[None]:
    """Interrupt the block after *timeout_s*; main thread only. An alarm that was set before goes on.

    A block that catches the interruption and goes on is interrupted again, until it ends.

    Raises
    ------
    TaskTimedOut : even if the block caught the interruption.
    """
    rang = is_over = False

    def ring(_number: int, _frame: Any) -> None:
        nonlocal rang
        if not is_over:
            rang = True
            raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, timeout_s, RING_AGAIN_S)
    began = time.monotonic()
    try:
        yield
    except _TimeIsUp:
        pass
    finally:
        is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - began), 0.001), interval_s)
    if rang:
        msg = f"took longer than {timeout_s:g} s"
        took_s = time.monotonic() - began
        if took_s > timeout_s + LATE_S:
            msg += f"; it could not be interrupted here and went on until {took_s:.1f} s"
        raise TaskTimedOut(msg)


def _in_thread(function: Callable[[], R], timeout_s: float) -> R:
    outcome: list[tuple[bool, Any]] = []
    context = copy_context()

    def target() -> None:
        with contextlib.suppress(_TimeIsUp, KeyboardInterrupt):
            try:
                outcome.append((True, context.run(function)))
            except _TimeIsUp:
                return
            except BaseException as error:  # noqa: BLE001 - carried to the caller
                outcome.append((False, error))

    thread = threading.Thread(target=target, daemon=True, name="task with a timeout")
    until = time.monotonic() + timeout_s
    try:
        thread.start()  # an interrupt can come while this waits for a body that has begun already
        while thread.is_alive() and (left_s := until - time.monotonic()) > 0:
            thread.join(min(left_s, LOOK_EVERY_S))
    except KeyboardInterrupt:
        _raise_in(thread, KeyboardInterrupt)
        raise
    if thread.is_alive():
        _raise_in(thread, _TimeIsUp)
        thread.join(END_S)
        msg = f"took longer than {timeout_s:g} s"
        if thread.is_alive():
            msg += "; it cannot be stopped in a thread and may still be running"
        raise TaskTimedOut(msg)
    is_value, found = outcome[0]
    if is_value:
        value: R = found
        return value
    raise found


def _raise_in(thread: threading.Thread, kind: type[BaseException]) -> None:
    """Raise *kind* in a thread, at its next line of Python; it may be about to begin."""
    until = time.monotonic() + END_S
    while thread.ident is None and time.monotonic() < until:
        time.sleep(0.001)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(kind))
