"""How task attempts are called: one by one, in threads, in processes, or on a Dask cluster.

What each needs is imported when it is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_flows.executors.local import LocalExecutor
from jupyter_flows.executors.threads import ThreadExecutor

if TYPE_CHECKING:
    from jupyter_flows.executors.base import Executor as Executor
    from jupyter_flows.executors.dask import DaskExecutor as DaskExecutor
    from jupyter_flows.executors.local_dask import LocalDaskExecutor as LocalDaskExecutor
    from jupyter_flows.executors.processes import ProcessExecutor as ProcessExecutor

__all__ = [
    "DaskExecutor",
    "Executor",
    "LocalDaskExecutor",
    "LocalExecutor",
    "ProcessExecutor",
    "ThreadExecutor",
]

_WHERE = {
    "DaskExecutor": "dask",
    "Executor": "base",
    "LocalDaskExecutor": "local_dask",
    "ProcessExecutor": "processes",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
