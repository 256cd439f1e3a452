"""Several tasks at a time, each in a process of its own that serves the whole run."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from jupyter_flows.core.state import Failed, TimedOut
from jupyter_flows.core.task import Task
from jupyter_flows.errors import RunNotStarted
from jupyter_flows.executors.base import at_least_one
from jupyter_flows.executors.workers.carry import context_in, name_of, repeat, unpacked
from jupyter_flows.executors.workers.sending import CannotSend, Sender
from jupyter_flows.executors.workers.worker import Worker

STOP_GRACE_S = 2.0
"""How long interrupted bodies may take to end before their processes are killed."""
ALARM_GRACE_S = 1.0
"""How long a body may go on after its timeout's alarm before its process is killed."""
LOOK_EVERY_S = 1.0
"""How often workers are looked at where the system does not tell of their end."""


class ProcessExecutor:
    """Calls up to *max_workers* tasks at a time, each in a process of its own.

    For Python code that computes: each process has its own interpreter. Workers start when they are first
    needed and serve until the run ends. A task, its inputs and its result travel between processes, so they
    must be such that they can be pickled (functions and classes of a notebook or script can); the task itself
    is pickled once in a run, not once for each child of a map. What a body changes in memory stays in its
    worker.

    A worker that dies (``os._exit``, ``kill -9``, no memory left) fails the task it ran, with a sentence that
    says how it ended; a fresh worker takes its place. A timeout, or an interrupt of the run, stops bodies for
    certain: what does not end by itself is killed, with the programs it started. When the run ends, nothing
    that its bodies started is left.

    Cells of a notebook share one namespace and cannot run in several processes: a flow with cells is refused.

    Parameters
    ----------
    max_workers : int, optional
        Most tasks at once; default: the number of processors.

    Raises
    ------
    InvalidFlow : *max_workers* is less than 1.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("squares", executor=ProcessExecutor(2)) as flow:
    ...     squares = [task(lambda x: x * x)(n) for n in range(3)]
    >>> done = flow.run()
    >>> [done.result[square].result for square in squares]
    [0, 1, 4]
    """

    kind: ClassVar[str] = "processes"
    runs_cells: ClassVar[bool] = False

    def __init__(self, max_workers: int | None = None) -> None:
        name = "ProcessExecutor: max_workers"
        self.max_workers = None if max_workers is None else at_least_one(max_workers, name)

    def __repr__(self) -> str:
        return f"ProcessExecutor(max_workers={self.max_workers})"

    def open(self) -> ProcessCalls:
        """Get ready for one run; processes start as they are needed."""
        return ProcessCalls(self.max_workers or os.cpu_count() or 1)


class _Asked:
    """A call under way."""

    def __init__(self, key: Any, args: tuple[Any, ...]) -> None:
        self.key = key
        self.name = name_of(args)
        self.context = context_in(args)
        task = next((found for found in args if isinstance(found, Task)), None)
        timeout = task.timeout if task is not None else None
        self.timeout_s = None if timeout is None else timeout.total_seconds()
        self.kill_at: float | None = None


class ProcessCalls:
    """Worker processes of one run.

    Parameters
    ----------
    max_workers : int
    """

    def __init__(self, max_workers: int) -> None:
        self._max_workers = max_workers
        self._sender = Sender()
        self._idle: list[Worker] = []
        self._busy: dict[Worker, _Asked] = {}
        self._done: deque[tuple[Any, Any]] = deque()
        self._selector = selectors.DefaultSelector()

    def has_room(self) -> bool:
        """Whether a worker is free, or may be started."""
        return len(self._busy) + len(self._done) < self._max_workers

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Send a call to a worker; what cannot be sent comes back as a ``Failed`` that says why."""
        asked = _Asked(key, args)
        try:
            call = self._sender.call(function, args)
        except CannotSend as error:
            self._done.append((key, error.failed))
            return
        while True:
            try:
                worker = self._idle.pop() if self._idle else self._start()
            except RunNotStarted as error:
                self._done.append((key, Failed(f"{asked.name} was not run: {error}", error)))
                return
            try:
                if not worker.is_alive():
                    raise BrokenPipeError  # as if it were found out by writing
                worker.ask(asked.name, call)
            except OSError:  # it died while it had nothing to do, or as it came up
                self._forget(worker)
                if not worker.is_ready and worker.receive() is None:
                    self._done.append((key, Failed(worker.failed(asked.name))))
                    return
                worker.kill()
                continue
            self._busy[worker] = asked
            return

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Wait for the next value; log lines of bodies are written meanwhile."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._done:
            if not self._busy:
                return None
            now = time.monotonic()
            if until is not None and now > until:
                return None
            self._listen(self._wait_s(now, until))
            self._kill_late(time.monotonic())
        return self._done.popleft()

    def interrupt(self) -> None:
        """Interrupt bodies as a keyboard would; kill those that have not ended soon after."""
        for worker in self._busy:
            worker.interrupt()
        until = time.monotonic() + STOP_GRACE_S
        try:
            while self._busy and (left_s := until - time.monotonic()) > 0:
                try:
                    self._listen(left_s)
                except KeyboardInterrupt:
                    continue  # a body's, not a person's: those come between
        finally:
            self._done.clear()
            for worker in list(self._busy):
                self._drop(worker)

    def close(self) -> None:
        """End all workers, and what bodies started in them."""
        for worker in self._busy:
            worker.kill()
        for worker in self._idle:
            worker.let_go()
        for worker in self._idle:
            worker.close()
        self._busy.clear()
        self._idle.clear()
        self._selector.close()

    def _start(self) -> Worker:
        worker = Worker()
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        if worker.pidfd is not None:
            self._selector.register(worker.pidfd, selectors.EVENT_READ, worker)
        return worker

    def _drop(self, worker: Worker) -> None:
        """Kill a worker and forget it."""
        self._forget(worker)
        worker.kill()

    def _forget(self, worker: Worker) -> None:
        self._busy.pop(worker, None)
        if worker in self._idle:
            self._idle.remove(worker)
        self._selector.unregister(worker.connection)
        if worker.pidfd is not None:
            self._selector.unregister(worker.pidfd)

    def _wait_s(self, now: float, until: float | None) -> float | None:
        times = [asked.kill_at for asked in self._busy.values() if asked.kill_at is not None]
        if until is not None:
            times.append(until)
        if any(worker.pidfd is None for worker in self._busy):
            times.append(now + LOOK_EVERY_S)
        return max(0.0, min(times) - now) if times else None

    def _listen(self, timeout_s: float | None) -> None:
        """Take one message of each worker that has one."""
        events = self._selector.select(timeout_s)
        heard = {event.data for event, _ in events}
        for worker in heard:
            # Its last words first: it may have ended well just before it died.
            if worker.connection.closed:
                continue
            if worker.connection.poll():
                self._take(worker)
            elif not worker.is_alive():
                self._died(worker)
        for worker in list(self._busy):
            if worker.pidfd is None and worker not in heard and not worker.is_alive():
                self._died(worker)

    def _take(self, worker: Worker) -> None:
        message = worker.receive()
        asked = self._busy.get(worker)
        if message is None:
            self._died(worker)
        elif asked is None:
            return  # a line of a thread that a body left behind, or "ready"
        elif message[0] == "begun" and asked.timeout_s is not None:
            asked.kill_at = time.monotonic() + asked.timeout_s + ALARM_GRACE_S
        elif message[0] == "line":
            repeat(message[1], asked.context)
        elif message[0] == "done":
            del self._busy[worker]
            self._idle.append(worker)
            value = unpacked(message[1], asked.name)
            if isinstance(value, TimedOut):
                self._drop(worker)  # with the programs that the body had started
            self._done.append((asked.key, value))

    def _died(self, worker: Worker) -> None:
        asked = self._busy.get(worker)
        self._forget(worker)
        if asked is None:
            worker.kill()
        else:
            self._done.append((asked.key, Failed(worker.failed(asked.name))))

    def _kill_late(self, now: float) -> None:
        """Kill what goes on after its timeout: it does not let the alarm in."""
        for worker, asked in list(self._busy.items()):
            if asked.kill_at is not None and now >= asked.kill_at:
                self._drop(worker)
                said = f"{asked.name} took longer than {asked.timeout_s:g} s; its process was killed"
                self._done.append((asked.key, TimedOut(said)))
