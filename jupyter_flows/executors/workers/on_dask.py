"""The inside of a Dask worker: makes calls in its threads, and stops those of a run that was cancelled.

Imports nothing of Dask: it is what Dask imports.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
from collections import OrderedDict
from typing import Any

from jupyter_flows.core.state import Failed
from jupyter_flows.executors.workers.carry import Carried, Origin, carry, packed
from jupyter_flows.executors.workers.sending import MOST_KEPT, assembled

MOST_RUNS = 1000


class _Worker:
    """What this process knows of the runs that it works for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[str, Any] = OrderedDict()
        self.threads: dict[int, str] = {}
        self.cancelled: OrderedDict[str, None] = OrderedDict()

    def loaded(self, key: str, data: bytes) -> Any:
        """Return what *data* is a pickle of; threads share it, as they share a task in any process."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
            value = pickle.loads(data)  # noqa: S301 - from the run that this worker works for
            self.kept[key] = value
            if len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
            return value


_here = _Worker()


def give(data: bytes) -> bytes:
    """Return *data*: a part of many calls, as a Dask task, so that it is sent once and can be made again."""
    return data


def work(
    name: str,
    run: str,
    origin: Origin,
    parts: tuple[tuple[str | None, bytes | None], ...],
    places: tuple[tuple[int, str], ...],
    *shared: bytes,
) -> Carried:
    """Make a call in a thread of this worker.

    Parameters
    ----------
    name : str
        What messages call it.
    run : str
        Key of the run.
    origin : Origin
    parts : tuple
        For each part of the call a key, if it is shared, and its pickle, if it is not among *shared*.
    places : tuple
        Where parts belong that are no arguments by themselves.
    shared : bytes
        Pickles of the large shared ones, in their order.
    """
    given = iter(shared)
    try:
        found = [
            pickle.loads(data or b"")  # noqa: S301
            if key is None
            else _here.loaded(f"{run}-{key}", next(given) if data is None else data)
            for key, data in parts
        ]
        function, args = assembled(found, places)
    except Exception as error:  # noqa: BLE001 - modules are imported here, anything may happen
        missing = f" ({error.name})" if isinstance(error, ModuleNotFoundError) and error.name else ""
        return packed(
            Failed(
                f"{name} cannot be loaded on its Dask worker: {type(error).__name__}{missing}; "
                "workers need the same packages and modules as the process that runs the flow",
                error,
            ),
            name,
        )
    me = threading.get_ident()
    try:
        with _here.lock:
            if run in _here.cancelled:
                return Carried(None)
            _here.threads[me] = run
        return carry(function, args, origin=origin)
    except KeyboardInterrupt:  # it came just after the body had ended
        return Carried(None)
    finally:
        with _here.lock:
            _here.threads.pop(me, None)


def stop(run: str) -> None:
    """Raise KeyboardInterrupt in the threads that work for a run, and begin nothing more for it."""
    with _here.lock:
        _here.cancelled[run] = None
        if len(_here.cancelled) > MOST_RUNS:
            _here.cancelled.popitem(last=False)
        for ident, whose in _here.threads.items():
            if whose == run:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt)
                )
