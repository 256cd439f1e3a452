"""Tasks on one machine under the names of Dask's local schedulers (Prefect 1's LocalDaskExecutor)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, ClassVar

from jupyter_flows.errors import InvalidFlow, PackageMissing
from jupyter_flows.executors.base import Calls, at_least_one
from jupyter_flows.executors.local import LocalCalls
from jupyter_flows.executors.processes import ProcessCalls
from jupyter_flows.executors.threads import ThreadCalls

_NAMES = {
    "threads": "threads",
    "threading": "threads",
    "processes": "processes",
    "multiprocessing": "processes",
    "synchronous": "synchronous",
    "sync": "synchronous",
    "single-threaded": "synchronous",
}


class LocalDaskExecutor:
    """Calls tasks in threads, in processes, or one at a time, as a flow for Prefect 1 asks for it.

    Tasks are called by the same threads and processes as a :class:`~jupyter_flows.executors.ThreadExecutor`
    or :class:`~jupyter_flows.executors.ProcessExecutor` has, one as soon as its upstreams have ended (Prefect
    1 built Dask graphs and kept their results in memory). What tasks compute *with* Dask follows the
    configuration given here. Without that, Dask need not be installed.

    Parameters
    ----------
    scheduler : {"threads", "processes", "synchronous"}
        Dask's other names for these are known too.
    num_workers : int, optional
        Most tasks at once; default: the number of processors.
    dask_config : any
        Further options of Dask's configuration, for the time of a run.

    Raises
    ------
    InvalidFlow : an unknown scheduler, or fewer than one worker.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> with Flow("both", executor=LocalDaskExecutor(scheduler="threads", num_workers=2)) as flow:
    ...     ones = [task(lambda: 1)() for _ in range(2)]
    >>> flow.run().is_successful()
    True
    """

    kind: ClassVar[str] = "local_dask"

    def __init__(
        self, scheduler: str = "threads", num_workers: int | None = None, **dask_config: Any
    ) -> None:
        if scheduler not in _NAMES:
            msg = (
                f"LocalDaskExecutor: no scheduler is called {scheduler!r}; "
                "there are threads, processes and synchronous"
            )
            raise InvalidFlow(msg)
        self.scheduler = _NAMES[scheduler]
        name = "LocalDaskExecutor: num_workers"
        self.num_workers = None if num_workers is None else at_least_one(num_workers, name)
        self.dask_config = dask_config

    def __repr__(self) -> str:
        return f"LocalDaskExecutor(scheduler={self.scheduler!r}, num_workers={self.num_workers})"

    @property
    def runs_cells(self) -> bool:
        """Whether tasks see this process's memory: not in processes."""
        return self.scheduler != "processes"

    def open(self) -> Calls:
        """Get ready for one run.

        Raises
        ------
        PackageMissing : there are options for Dask, which is not installed.
        """
        workers = self.num_workers or os.cpu_count() or 1
        calls: Calls
        if self.scheduler == "threads":
            calls = ThreadCalls(workers)
        elif self.scheduler == "processes":
            calls = ProcessCalls(workers)
        else:
            calls = LocalCalls()
        if find_spec("dask") is None:
            if self.dask_config:
                msg = 'options of Dask need Dask: pip install "jupyter-flows[dask]"'
                raise PackageMissing(msg)
            return calls
        return _ConfiguredCalls(
            calls, {"scheduler": self.scheduler, "num_workers": workers, **self.dask_config}
        )


class _ConfiguredCalls:
    """Calls while Dask is configured: here for all, and in other processes around each."""

    def __init__(self, calls: Calls, config: dict[str, Any]) -> None:
        self._calls = calls
        self._config = config
        self._is_here = not isinstance(calls, ProcessCalls)
        self._stack = contextlib.ExitStack()
        if self._is_here:
            import dask.config

            self._stack.enter_context(dask.config.set(config))

    def has_room(self) -> bool:
        """Whether another call would begin at once."""
        return self._calls.has_room()

    def submit(self, key: Any, function: Callable[..., Any], *args: Any) -> None:
        """Have *function* called under the configuration."""
        if self._is_here:
            self._calls.submit(key, function, *args)
        else:
            self._calls.submit(key, _configured, self._config, function, *args)

    def next_done(self, timeout_s: float | None) -> tuple[Any, Any] | None:
        """Wait for the next value."""
        return self._calls.next_done(timeout_s)

    def interrupt(self) -> None:
        """Make what is under way stop."""
        self._calls.interrupt()

    def close(self) -> None:
        """Let go of everything, and of the configuration."""
        self._calls.close()
        self._stack.close()


def _configured(config: dict[str, Any], function: Callable[..., Any], *args: Any) -> Any:
    import dask.config

    with dask.config.set({**config, "scheduler": "synchronous"}):
        return function(*args)
