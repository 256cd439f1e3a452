"""How the body of a task is called: here, as a function. Other backends run cells."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from jupyter_flows.core.task import Task


class TaskTimedOut(Exception):
    """An attempt took longer than its timeout."""


class Backend(Protocol):
    """Calls bodies of tasks."""

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call *task* with *inputs*; return its value or raise what it raised."""


class FunctionBackend:
    """Calls ``task.run`` in this process.

    A timeout interrupts the main thread by a signal. In another thread Python cannot stop code: there the
    attempt is given up at its timeout, and the abandoned thread may go on until it ends by itself.
    """

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call ``task.run(**inputs)``."""
        del context
        if timeout_s is None:
            return task.run(**inputs)
        if threading.current_thread() is threading.main_thread():
            with alarm(timeout_s):
                return task.run(**inputs)
        return _in_thread(lambda: task.run(**inputs), timeout_s)


@contextmanager
def alarm(timeout_s: float) -> Iterator[None]:
    """Raise :class:`TaskTimedOut` in the main thread after *timeout_s*."""

    def ring(_number: int, _frame: Any) -> None:
        msg = f"took longer than {timeout_s:g} s"
        raise TaskTimedOut(msg)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_thread(body: Callable[[], Any], timeout_s: float) -> Any:
    from contextvars import copy_context

    outcome: list[Any] = []
    context = copy_context()

    def target() -> None:
        try:
            outcome.append((True, context.run(body)))
        except BaseException as error:  # noqa: BLE001 - carried to the caller
            outcome.append((False, error))

    thread = threading.Thread(target=target, daemon=True, name="task with a timeout")
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        msg = f"took longer than {timeout_s:g} s; its thread cannot be stopped and was abandoned"
        raise TaskTimedOut(msg)
    good, value = outcome[0]
    if good:
        return value
    raise value
