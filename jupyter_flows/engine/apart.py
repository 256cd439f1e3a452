"""Attempts with a timeout in processes of their own, where they can be killed.

For threads, which cannot be. A process serves one attempt after another; one whose attempt took too long is
killed, with everything it started, and a fresh one comes when it is needed.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_flows.core import state as states
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine.limits import LOOK_EVERY_S
from jupyter_flows.errors import RunNotStarted
from jupyter_flows.executors.processes import ALARM_GRACE_S
from jupyter_flows.executors.workers.carry import name_of, repeat, unpacked
from jupyter_flows.executors.workers.sending import Call, CannotSend, Sender
from jupyter_flows.executors.workers.worker import Worker


class Apart:
    """Worker processes for attempts with a timeout; they start when needed and end with this object.

    Threads may use one together.

    Examples
    --------
    >>> apart = Apart()
    >>> slow = Task(name="slow")
    >>> def attempt(task, inputs, context):
    ...     while True:
    ...         pass
    >>> apart.attempt(attempt, slow, {}, {}, timeout_s=0.2)
    <TimedOut: 'task slow took longer than 0.2 s; its process was killed'>
    """

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._sender = Sender()
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _close, self._idle)

    def attempt(
        self,
        function: Callable[..., State],
        task: Task,
        inputs: Mapping[str, Any],
        context: Mapping[str, Any],
        *more: Any,
        timeout_s: float,
    ) -> State | None:
        """Call ``function(task, inputs, context, *more)`` in a process; return the state, or a TimedOut.

        None if it cannot be done there: something cannot be pickled, or there are no more processes to be
        had. Then nothing was run.

        Raises
        ------
        KeyboardInterrupt : the run, or the body, was interrupted.
        """
        args = (task, inputs, context, *more)
        try:
            with self._lock:
                call = self._sender.call(function, args)
            worker = self._asked(name_of(args), call)
        except (CannotSend, RunNotStarted, OSError):
            return None
        is_free = False
        try:
            state = _wait(worker, name_of(args), context, timeout_s)
            is_free = not isinstance(state, states.TimedOut) and worker.is_alive()
        finally:
            if is_free:
                self._idle.append(worker)
            else:
                worker.kill()
        return state

    def close(self) -> None:
        """End the processes."""
        self._end()

    def _asked(self, name: str, call: Call) -> Worker:
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = Worker()
                worker.ask(name, call)
                return worker
            try:
                if worker.is_alive():
                    worker.ask(name, call)
                    return worker
            except OSError:
                pass  # it died while it had nothing to do
            worker.kill()


def _wait(worker: Worker, name: str, context: Mapping[str, Any], timeout_s: float) -> State:
    until: float | None = None
    while until is None or time.monotonic() < until:
        if not worker.connection.poll(LOOK_EVERY_S):
            # A program that the body forked may hold the connection open when the worker is gone.
            if not worker.is_alive() and not worker.connection.poll():
                return states.Failed(worker.failed(name))
            continue
        message = worker.receive()
        if message is None:
            return states.Failed(worker.failed(name))
        if message[0] == "begun":
            until = time.monotonic() + timeout_s + ALARM_GRACE_S
        elif message[0] == "line":
            repeat(message[1], context)
        elif message[0] == "done":
            state: State = unpacked(message[1], name)
            return state
    return states.TimedOut(f"{name} took longer than {timeout_s:g} s; its process was killed")


def _close(idle: list[Worker]) -> None:
    for worker in idle:
        worker.let_go()
    while idle:
        idle.pop().close()
