"""The executors that the shared contract is tried on, and what each is promised to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jupyter_flows.executors import (
    DaskExecutor,
    LocalDaskExecutor,
    LocalExecutor,
    ProcessExecutor,
    ThreadExecutor,
)


class Kind(NamedTuple):
    """An executor under test.

    ``here``: bodies run in this process and may share objects with it. ``at_once``: how many run together.
    """

    name: str
    make: Callable[[], Any]
    here: bool
    at_once: int


TWO_WORKERS = {"n_workers": 2, "threads_per_worker": 1}
IN_THREADS = {"n_workers": 1, "threads_per_worker": 2, "processes": False}

KINDS = [
    Kind("local", LocalExecutor, here=True, at_once=1),
    Kind("threads", lambda: ThreadExecutor(2), here=True, at_once=2),
    Kind("processes", lambda: ProcessExecutor(2), here=False, at_once=2),
    Kind("local dask, threads", lambda: LocalDaskExecutor("threads", 2), here=True, at_once=2),
    Kind("local dask, processes", lambda: LocalDaskExecutor("processes", 2), here=False, at_once=2),
    Kind("local dask, synchronous", lambda: LocalDaskExecutor("synchronous"), here=True, at_once=1),
    Kind("dask", lambda: DaskExecutor(cluster_kwargs=TWO_WORKERS), here=False, at_once=2),
    Kind("dask in threads", lambda: DaskExecutor(cluster_kwargs=IN_THREADS), here=False, at_once=2),
]
