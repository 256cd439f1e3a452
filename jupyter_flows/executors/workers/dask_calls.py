"""The calls of one run on a Dask cluster. Knows nothing of how the cluster came to be."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from jupyter_flows.core.state import Failed
from jupyter_flows.core.task import Task
from jupyter_flows.errors import ClusterUnavailable, InvalidFlow
from jupyter_flows.executors.workers.carry import context_in, name_of, repeat, unpacked
from jupyter_flows.executors.workers.on_dask import give, stop, work
from jupyter_flows.executors.workers.sending import MOST_KEPT, Call, CannotSend, Sender

RESOURCE_TAG = "dask-resource:"
FEWEST = 256
"""Calls that may be with the scheduler at a time, whatever it has: so many show that workers are needed."""
PER_THREAD = 4
"""Calls that may be with the scheduler for each thread of its workers."""
MOST_BYTES = 256 << 20
"""Inputs that may be with the scheduler at a time."""
LOOK_EVERY_S = 2.0
"""How often the cluster is asked for its size."""
LARGE_BYTES = 16 << 10
"""What is shared by calls and larger than this is a Dask task of its own; what is not goes with each call."""
GATHER = 64
"""Most values fetched in one go."""


def resources_of(task: Task) -> dict[str, float]:
    """Return what a worker must offer to run *task*, by its tags.

    Raises
    ------
    InvalidFlow : a tag that cannot be read.

    Examples
    --------
    >>> resources_of(Task(name="train", tags=["dask-resource:GPU=1", "nightly"]))
    {'GPU': 1.0}
    """
    found = {}
    for tag in sorted(task.tags):
        if not tag.startswith(RESOURCE_TAG):
            continue
        name, _, amount = tag.removeprefix(RESOURCE_TAG).partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            name = ""
        if not name or not found[name] > 0:
            msg = f"task {task.name!r}: tag {tag!r} cannot be read; write it as 'dask-resource:GPU=1'"
            raise InvalidFlow(msg)
    return found


class _Asked:
    """A call that is with the scheduler, or waits to be there once more."""

    def __init__(self, key: Any, args: tuple[Any, ...], call: Call) -> None:
        self.key = key
        self.call = call
        self.name = name_of(args)
        self.context = context_in(args)
        self.task = next((found for found in args if isinstance(found, Task)), None)
        self.size_bytes = sum(len(part.data) for part in call.parts if part.number is None)
        self.dask_key = ""
        self.is_suspect = False
        self.future: Any = None


class _Ended(NamedTuple):
    """A call has ended; its value, if there is one, is with a worker."""

    dask_key: str


class _Fetched(NamedTuple):
    """Values of calls, or why they could not be fetched."""

    calls: list[_Asked]
    found: list[Any] | Exception


class DaskCalls:
    """Calls of one run.

    Parameters
    ----------
    client : distributed.Client
    where : str
        Address of the scheduler, for messages.
    stops_bodies : bool
        Whether bodies on workers are interrupted when the run is.
    close : callable
        Lets go of client and cluster.
    """

    def __init__(self, client: Any, *, where: str, stops_bodies: bool, close: Callable[[], None]) -> None:
        self._client = client
        self._where = where
        self._stops_bodies = stops_bodies
        self._close = close
        self._run = uuid4().hex
        self._sender = Sender()
        self._shared: OrderedDict[int | None, Any] = OrderedDict()
        self._asked: dict[str, _Asked] = {}
        self._suspects: deque[_Asked] = deque()
        self._bytes = 0
        self._ended: queue.SimpleQueue[_Ended | _Fetched] = queue.SimpleQueue()
        self._done: deque[tuple[Any, Any]] = deque()
        self._window = FEWEST
        self._look_at = 0.0
        self._count = 0

    def has_room(self) -> bool:
        """Whether the scheduler may get another call."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            if not self._is_lost():
                with contextlib.suppress(OSError):  # calls that are there, and those to come, will say so
                    self._window = max(FEWEST, PER_THREAD * sum(self._client.nthreads().values()))
        with_us = len(self._asked) + len(self._suspects) + len(self._done)
        return with_us < self._window and self._bytes < MOST_BYTES

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Send a call to the scheduler; what cannot be sent comes back as a ``Failed`` that says why."""
        name = name_of(args)
        if self._is_lost():
            self._done.append((key, self._lost(name)))
            return
        try:
            call = self._sender.call(function, args)
        except CannotSend as error:
            self._done.append((key, error.failed))
            return
        self._send(_Asked(key, args, call))

    def _send(self, asked: _Asked) -> None:
        """Give a call to the scheduler."""
        self._count += 1
        dask_key = _key(asked.task, asked.context, f"{self._run}{self._count:x}")
        self._asked[dask_key] = asked
        self._bytes += asked.size_bytes
        try:
            asked.future = self._submit(dask_key, asked)
        except Exception:  # noqa: BLE001 - a client that is closed, or closing, says so in many ways
            asked.future = None
            self._ended.put(_Ended(dask_key))
        else:
            asked.future.add_done_callback(lambda _: self._ended.put(_Ended(dask_key)))

    def _submit(self, dask_key: str, asked: _Asked) -> Any:
        parts: list[tuple[str | None, bytes | None]] = []
        shared = []
        for number, data in asked.call.parts:
            is_apart = number is not None and len(data) >= LARGE_BYTES
            parts.append((None if number is None else str(number), None if is_apart else data))
            if is_apart:
                shared.append(self._part(number, data))
        with self._no_warning_of(asked.size_bytes):
            return self._client.submit(
                work,
                asked.name,
                self._run,
                asked.call.origin,
                tuple(parts),
                asked.call.places,
                *shared,
                key=dask_key,
                pure=False,
                resources=(resources_of(asked.task) if asked.task is not None else {}) or None,
            )

    def _part(self, number: int | None, data: bytes) -> Any:
        """Return the Dask task that gives a shared part; if its worker dies, Dask makes it again."""
        if number in self._shared:
            self._shared.move_to_end(number)
            return self._shared[number]
        self._count += 1
        key = f"shared-{self._run}{self._count:x}"
        with self._no_warning_of(len(data)):
            future = self._client.submit(give, data, key=key, pure=False)
        self._shared[number] = future
        if len(self._shared) > MOST_KEPT:
            self._shared.popitem(last=False)
        return future

    @contextlib.contextmanager
    def _no_warning_of(self, size_bytes: int) -> Any:
        """Keep Dask from advising to load data elsewhere: inputs of tasks are as large as they are."""
        if size_bytes < 1_000_000:
            yield
            return
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": 2 * size_bytes + (1 << 30)}):
            yield

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Wait for the next value."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._done:
            if not self._asked:
                return None
            try:
                left_s = None if until is None else max(0.0, until - time.monotonic())
                self._hear(self._ended.get(timeout=left_s))
            except queue.Empty:
                return None
        return self._done.popleft()

    def _hear(self, first: _Ended | _Fetched) -> None:
        """Take what was fetched, and fetch the values of calls that have ended."""
        events = [first]
        with contextlib.suppress(queue.Empty):
            while len(events) < GATHER:
                events.append(self._ended.get_nowait())
        batch = []
        for event in events:
            if isinstance(event, _Fetched):
                self._take(event)
                continue
            asked = self._asked[event.dask_key]
            asked.dask_key = event.dask_key
            is_lost = asked.future is None or self._is_lost()
            status = "cancelled" if is_lost else asked.future.status
            if status == "cancelled":
                self._settle(asked, self._lost(asked.name))
            elif status == "error":
                self._settle(asked, self._failed(asked, asked.future.exception()))
            else:  # finished; or its worker died just now, and Dask makes it again
                batch.append(asked)
        if batch:
            self._fetch(batch)
        self._try_suspect()

    def _fetch(self, batch: list[_Asked]) -> None:
        """Begin to fetch values. Where a worker has just died this can take long: others go on meanwhile."""
        self._client.loop.add_callback(self._gather, batch)

    async def _gather(self, batch: list[_Asked]) -> None:
        found: list[Any] | Exception
        try:
            found = await self._client.gather([asked.future for asked in batch], asynchronous=True)
        except Exception as error:  # noqa: BLE001 - told by the thread that drives the run
            found = error
        self._ended.put(_Fetched(batch, found))

    def _take(self, fetched: _Fetched) -> None:
        if not isinstance(fetched.found, Exception):
            for asked, carried in zip(fetched.calls, fetched.found, strict=True):
                for line in carried.lines:
                    repeat(line, asked.context)
                self._settle(asked, unpacked(carried, asked.name))
        elif len(fetched.calls) > 1:  # one of them is not to be had: each by itself
            for asked in fetched.calls:
                self._fetch([asked])
        else:
            for asked in fetched.calls:
                self._settle(asked, self._failed(asked, fetched.found))

    def _settle(self, asked: _Asked, value: Any) -> None:
        """End a call with *value*; with None it is to be tried again."""
        del self._asked[asked.dask_key]
        self._bytes -= asked.size_bytes
        if value is not None:
            self._done.append((asked.key, value))

    def _try_suspect(self) -> None:
        """Try one of the calls again whose workers died: one at a time, so that it is seen which kills them.

        Dask gives up all that were with a worker when it died for the fourth time, also those that only
        waited there.
        """
        if self._suspects and not any(asked.is_suspect for asked in self._asked.values()):
            self._send(self._suspects.popleft())

    def _failed(self, asked: _Asked, error: BaseException | None) -> Failed | None:
        """Return why a call gave nothing; None if it is to be tried again."""
        kind = type(error).__name__
        if kind == "KilledWorker":
            self._shared.clear()  # a part may have been with those workers, and been given up too
            if not asked.is_suspect:
                asked.is_suspect = True
                self._suspects.append(asked)
                return None
            return Failed(
                f"{asked.name} failed: the Dask workers that ran it died again and again (KilledWorker); "
                "it may be what kills them, for instance by the memory it takes",
                error,
            )
        # A future that was lost while it was asked has no exception at all.
        if error is None or kind in {"CancelledError", "CommClosedError", "FutureCancelledError"}:
            return self._lost(asked.name)
        missing = f" ({error.name})" if isinstance(error, ModuleNotFoundError) and error.name else ""
        return Failed(
            f"{asked.name} could not be run by its Dask worker: {kind}{missing}; "
            "workers need the same packages as the process that runs the flow",
            error,
        )

    def _is_lost(self) -> bool:
        """Whether there is no connection now: Dask drops what was under way and tries to connect."""
        return bool(self._client.status != "running")

    def _lost(self, name: str) -> Failed:
        is_lost = self._is_lost()
        what = "is gone, or cannot be reached" if is_lost else "dropped it: it was cancelled or restarted"
        sentence = f"{name} failed: the Dask scheduler at {self._where} {what}"
        return Failed(sentence, ClusterUnavailable(sentence))

    def interrupt(self) -> None:
        """Take back what waits; raise KeyboardInterrupt in bodies at their next line of Python."""
        futures = [asked.future for asked in self._asked.values() if asked.future is not None]
        self._asked.clear()
        self._suspects.clear()
        self._done.clear()
        with contextlib.suppress(Exception):
            if self._stops_bodies:
                self._client.run(stop, self._run, on_error="ignore")
            self._client.cancel(futures, force=True)

    def close(self) -> None:
        """Let go of the cluster; one of the run's own ends."""
        self._asked.clear()
        self._shared.clear()
        self._close()


def _key(task: Task | None, context: Mapping[str, Any], number: str) -> str:
    """Return the key under which Dask shows a call: ``<task>-<index>-<id>``.

    Examples
    --------
    >>> _key(Task(name="load"), {"map_index": 3}, "77aa")
    'load-3-77aa'
    """
    index = context.get("map_index")
    name = task.name if task is not None else "call"
    return f"{name}-{number}" if index is None else f"{name}-{index}-{number}"
