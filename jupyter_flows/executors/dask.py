"""Tasks on a Dask cluster: one that exists, or one of the run's own. Dask is imported when a run begins."""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

from jupyter_flows.core.task import Task
from jupyter_flows.errors import ClusterUnavailable, InvalidFlow, PackageMissing
from jupyter_flows.executors.local_dask import LocalDaskExecutor
from jupyter_flows.executors.workers.dask_calls import DaskCalls, resources_of

__all__ = ["DaskExecutor", "LocalDaskExecutor"]

LOCAL_CLUSTER = "distributed.LocalCluster"
LOST_WORKER_S = "365 days"
"""When Dask gives up a worker of our own cluster that its nanny does not bring back: never."""
_LOG = logging.getLogger("jupyter_flows.executors")


class DaskExecutor:
    """Calls tasks on the workers of a Dask cluster.

    For runs that outgrow one machine. Without *address* each run has a cluster of its own, which ends with
    it. A task that the tag ``dask-resource:GPU=1`` has runs only on workers that offer it. Tasks appear on
    Dask's dashboard as ``<task>-<index>-<id>``.

    A worker that dies takes no task with it: Dask runs again, on another worker, what was under way there,
    also bodies that had done part of their work. So a body may run more than once (its state is told once).
    What Dask gives up because its workers died four times (``allowed-failures``) is tried once more, one
    such task at a time, because Dask also gives up what only waited there; then it is ``Failed``.

    Of a large map a window of tasks at a time is with the scheduler. Inputs and results travel through the
    process that runs the flow; the task itself is pickled once in a run.

    Cells of a notebook share one namespace and cannot run on a cluster: a flow with cells is refused.

    Parameters
    ----------
    address : str, optional
        Of the scheduler of a cluster that exists, e.g. ``tcp://host:8786``.
    cluster_class : str or callable, optional
        What makes the run's own cluster; a text is imported. Default ``distributed.LocalCluster``.
    cluster_kwargs : mapping, optional
        Its arguments, e.g. ``{"n_workers": 2}``.
    adapt_kwargs : mapping, optional
        Arguments of the cluster's ``adapt``: workers then come and go with the work.
    client_kwargs : mapping, optional
        Arguments of ``distributed.Client``.
    debug : bool, optional
        Whether a local cluster writes its warnings.
    performance_report_path : str, optional
        File for Dask's performance report of the run (HTML; needs bokeh).
    disable_cancellation_event : bool
        Whether a cancelled run leaves bodies on workers alone, and only takes back those that wait.
    watch_worker_status : bool, optional
        Whether workers that come and go are written to the log; default: as *debug*.

    Raises
    ------
    InvalidFlow : arguments that contradict each other.

    Examples
    --------
    >>> DaskExecutor("tcp://scheduler:8786")
    DaskExecutor(address='tcp://scheduler:8786')
    >>> DaskExecutor(cluster_kwargs={"n_workers": 2}, adapt_kwargs={"maximum": 4})
    DaskExecutor(cluster_class='distributed.LocalCluster')

    Notes
    -----
    A script that makes a local cluster runs its flow under ``if __name__ == "__main__":``, because the
    cluster's processes import the script. Source: Prefect 1's DaskExecutor.
    """

    kind: ClassVar[str] = "dask"
    runs_cells: ClassVar[bool] = False

    def __init__(  # noqa: PLR0917 - Prefect 1's signature
        self,
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        debug: bool | None = None,  # noqa: FBT001
        performance_report_path: str | None = None,
        disable_cancellation_event: bool = False,  # noqa: FBT001, FBT002
        watch_worker_status: bool | None = None,  # noqa: FBT001
    ) -> None:
        own = {"cluster_class": cluster_class, "cluster_kwargs": cluster_kwargs, "adapt_kwargs": adapt_kwargs}
        given = [name for name, value in own.items() if value is not None]
        if address is not None and given:
            msg = (
                f"DaskExecutor: address names a cluster that exists, {', '.join(given)} would make one; "
                "give the one or the other"
            )
            raise InvalidFlow(msg)
        if address is not None and (not isinstance(address, str) or ":" not in address):
            msg = (
                f"DaskExecutor: address is {address!r}; it is that of a scheduler, such as 'tcp://host:8786'"
            )
            raise InvalidFlow(msg)
        if isinstance(cluster_class, str) and "." not in cluster_class:
            msg = (
                f"DaskExecutor: cluster_class is {cluster_class!r}; write it with its module, "
                f"as {LOCAL_CLUSTER!r}"
            )
            raise InvalidFlow(msg)
        if cluster_class is not None and not isinstance(cluster_class, str) and not callable(cluster_class):
            kind = type(cluster_class).__name__
            msg = f"DaskExecutor: cluster_class is of type {kind}; it is a class, or its name"
            raise InvalidFlow(msg)
        mappings = {
            "cluster_kwargs": cluster_kwargs,
            "adapt_kwargs": adapt_kwargs,
            "client_kwargs": client_kwargs,
        }
        for name, value in mappings.items():
            if value is not None and not isinstance(value, Mapping):
                msg = f"DaskExecutor: {name} is of type {type(value).__name__}; it is a mapping of arguments"
                raise InvalidFlow(msg)
        self.address = address
        self.cluster_class = None if address is not None else cluster_class or LOCAL_CLUSTER
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = None if adapt_kwargs is None else dict(adapt_kwargs)
        self.client_kwargs = dict(client_kwargs or {})
        self.debug = bool(debug)
        self.performance_report_path = performance_report_path
        self.disable_cancellation_event = disable_cancellation_event
        self.watch_worker_status = self.debug if watch_worker_status is None else watch_worker_status

    def __repr__(self) -> str:
        if self.address is not None:
            return f"DaskExecutor(address={self.address!r})"
        return f"DaskExecutor(cluster_class={self.cluster_class!r})"

    def check(self, tasks: Iterable[Task]) -> None:
        """Refuse tasks whose tags ask for resources in a way that cannot be read."""
        for task in tasks:
            resources_of(task)

    def open(self) -> DaskCalls:
        """Connect to the cluster, or start one.

        Raises
        ------
        PackageMissing : Dask, or what a report needs, is not installed.
        ClusterUnavailable : the cluster cannot be started or reached.
        InvalidFlow : the class of the cluster cannot be imported.
        """
        if find_spec("distributed") is None:
            msg = 'a DaskExecutor needs Dask: pip install "jupyter-flows[dask]"'
            raise PackageMissing(msg)
        if self.performance_report_path is not None and find_spec("bokeh") is None:
            msg = "Dask's performance report needs the package bokeh: pip install bokeh"
            raise PackageMissing(msg)
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            msg = (
                "a cluster's process that imports this script begins the flow again; "
                "put flow.run() under 'if __name__ == \"__main__\":'"
            )
            raise InvalidFlow(msg)
        with contextlib.ExitStack() as stack:
            client = self._client(stack)
            if self.watch_worker_status:
                client.subscribe_topic("all", _log_worker)
                stack.callback(_quietly, client.unsubscribe_topic, "all")
            if self.performance_report_path is not None:
                import distributed

                report: Any = distributed.performance_report
                stack.enter_context(client.as_current())
                stack.enter_context(report(self.performance_report_path))
            return DaskCalls(
                client,
                where=str(client.scheduler.address),
                stops_bodies=not self.disable_cancellation_event,
                close=stack.pop_all().close,
            )

    @property
    def performance_report(self) -> str:
        """The report of the last run, as HTML."""
        if self.performance_report_path is None:
            msg = "this DaskExecutor writes no report; give it performance_report_path"
            raise InvalidFlow(msg)
        from pathlib import Path

        return Path(self.performance_report_path).read_text("utf-8")

    def _client(self, stack: contextlib.ExitStack) -> Any:
        import dask
        import distributed

        connect: Any = distributed.Client
        options = {"set_as_default": False, **self.client_kwargs}
        if self.address is not None:
            try:
                client = connect(self.address, **options)
            except (OSError, ValueError) as error:
                msg = f"no Dask scheduler answers at {self.address} ({type(error).__name__})"
                raise ClusterUnavailable(msg) from error
            stack.callback(_quietly, client.close)
            return client
        cluster_class = self._cluster_class()
        cluster_options = {**self._defaults(cluster_class), **self.cluster_kwargs}
        name = getattr(cluster_class, "__name__", type(cluster_class).__name__)
        if cluster_class is distributed.LocalCluster:
            # Some time after a worker died Dask gives up its nanny if no worker is there in that moment,
            # though it is starting one; where workers die again and again, the run would hang with none.
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": LOST_WORKER_S}))
        try:
            cluster = cluster_class(**cluster_options)
        except TypeError as error:
            given = ", ".join(sorted(self.cluster_kwargs)) or "nothing"
            msg = f"DaskExecutor: {name} cannot be made with cluster_kwargs {given}: {error}"
            raise InvalidFlow(msg) from error
        except (OSError, RuntimeError, ValueError) as error:
            msg = f"the Dask cluster ({name}) did not start: {type(error).__name__}: {error}"
            raise ClusterUnavailable(msg) from error
        stack.callback(_quietly, cluster.close)
        if self.adapt_kwargs is not None:
            cluster.adapt(**self.adapt_kwargs)
        client = connect(cluster, **options)
        stack.callback(_quietly, client.close)
        return client

    def _cluster_class(self) -> Callable[..., Any]:
        if not isinstance(self.cluster_class, str):
            assert self.cluster_class is not None
            return self.cluster_class
        module, _, name = self.cluster_class.rpartition(".")
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            why = type(error).__name__
            msg = f"DaskExecutor: cluster_class {self.cluster_class!r} cannot be imported ({why})"
            raise InvalidFlow(msg) from error
        return found

    def _defaults(self, cluster_class: Callable[..., Any]) -> dict[str, Any]:
        """Return what a local cluster of ours is told: to be quiet, and to listen to this machine only."""
        from distributed import LocalCluster

        if cluster_class is not LocalCluster:
            return {}
        return {
            "silence_logs": logging.WARNING if self.debug else logging.CRITICAL,
            "dashboard_address": "127.0.0.1:0",
        }


def _log_worker(event: Any) -> None:
    """Write that a worker came or went."""
    message = event[1] if isinstance(event, tuple) else event
    verbs = {"add-worker": "joined", "remove-worker": "left"}
    if isinstance(message, Mapping) and message.get("action") in verbs:
        _LOG.info("Dask worker %s %s", message.get("worker"), verbs[message["action"]])


def _quietly(function: Callable[..., Any], *args: Any) -> None:
    """Call *function*; a cluster that is gone already need not be left."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - whatever Dask has to say then, the run has ended
        _LOG.debug("closing Dask: %s", type(error).__name__)
