"""Something that must be set up before tasks use it and cleaned up after them: ``@resource_manager``.

Behaviour is Prefect 1's: cleaning up happens also when a task in the block failed; not when the setup
failed or was skipped; and it does not decide how the flow ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from typing import Any

from jupyter_flows.core.current import current_resource
from jupyter_flows.core.signals import SKIP, TRIGGERFAIL
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidTask

__all__ = ["ResourceContext", "ResourceManager", "resource_manager"]


class _Init(Task):
    """Makes the manager of the resource."""

    decides = False

    def __init__(self, resource_class: Any, **kwargs: Any) -> None:
        import inspect

        self.resource_class = resource_class
        self._signature = inspect.signature(resource_class)
        super().__init__(**kwargs)

    @property
    def signature(self) -> Any:
        """What the resource's class takes."""
        return self._signature

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Construct the resource's class."""
        return self.resource_class(*args, **kwargs)

    def _check_run(self) -> None:
        """Nothing: arguments are those of the resource's class."""


class _Setup(Task):
    """Sets the resource up."""

    def run(self, mgr: Any) -> Any:
        """Return what the tasks of the block get."""
        return mgr.setup()


class _Cleanup(Task):
    """Cleans the resource up."""

    decides = False

    def run(self, mgr: Any, resource: Any = None) -> None:
        """Hand the resource back."""
        mgr.cleanup(resource)


def _cleanup_trigger(upstream_states: Mapping[Any, Any]) -> bool:
    """Run when everything has ended; not if there is nothing to clean up."""
    for edge, state in upstream_states.items():
        what = {"mgr": "init", "resource": "setup"}.get(edge.key or "")
        if what is not None and (state.is_failed() or state.is_skipped()):
            how = "failed" if state.is_failed() else "was skipped"
            raise SKIP(f"the resource's {what} {how}: there is nothing to clean up")
    if not all(state.is_finished() for state in upstream_states.values()):
        raise TRIGGERFAIL("the tasks that use the resource have not ended")
    return True


class ResourceContext:
    """A ``with`` block: tasks in it run between the setup and the cleanup of a resource."""

    def __init__(self, init_task: Task, setup_task: Task | None, cleanup_task: Task, flow: Any) -> None:
        self.init_task = init_task
        self.setup_task = setup_task
        self.cleanup_task = cleanup_task
        self._flow = flow
        self._tasks: dict[Task, None] = {}
        self._token: Token[Any] | None = None

    def __enter__(self) -> Task | None:
        self._token = current_resource.set(self)
        return self.setup_task

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._token is not None
        current_resource.reset(self._token)
        if kind is not None:
            return
        flow = self._flow
        first = self.init_task if self.setup_task is None else self.setup_task
        own = {self.init_task, self.setup_task, self.cleanup_task}
        for child in self._tasks:
            upstreams = flow.upstream_tasks(child)
            if first not in upstreams and not any(one in self._tasks for one in upstreams):
                child.set_upstream(first, flow=flow)
            downstreams = [one for one in flow.downstream_tasks(child) if one not in own]
            if not any(one in self._tasks for one in downstreams):
                self.cleanup_task.set_upstream(child, flow=flow)

    def add_task(self, task: Task, flow: Any) -> None:
        """Hear of a task that is added to the flow within the block.

        Raises
        ------
        InvalidTask : to another flow than the resource's.
        """
        if flow is not self._flow:
            msg = f"task {task.name!r}: a resource's block belongs to one flow, not to {flow.name!r} too"
            raise InvalidTask(msg)
        self._tasks[task] = None


class ResourceManager:
    """A class of resources as a maker of tasks; made by :func:`resource_manager`."""

    def __init__(
        self,
        resource_class: type,
        name: str | None = None,
        init_task_kwargs: dict[str, Any] | None = None,
        setup_task_kwargs: dict[str, Any] | None = None,
        cleanup_task_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if not hasattr(resource_class, "cleanup"):
            msg = f"@resource_manager: {resource_class.__name__} has no method cleanup(self, resource)"
            raise InvalidTask(msg)
        self.resource_class = resource_class
        self.name = name or resource_class.__name__
        self.init_task_kwargs = {"name": self.name, **(init_task_kwargs or {})}
        self.setup_task_kwargs = {"name": f"{self.name}.setup", **(setup_task_kwargs or {})}
        self.cleanup_task_kwargs = {
            "name": f"{self.name}.cleanup",
            "trigger": _cleanup_trigger,
            "skip_on_upstream_skip": False,
            **(cleanup_task_kwargs or {}),
        }

    def __call__(self, *args: Any, flow: Any = None, **kwargs: Any) -> ResourceContext:
        """Put the resource's tasks into the flow; return the block to use it in."""
        init = _Init(self.resource_class, **self.init_task_kwargs)
        flow = init._flow(flow)  # noqa: SLF001 - says that a flow is missing, in the task's own words
        init.bind(*args, flow=flow, **kwargs)
        setup = None
        if hasattr(self.resource_class, "setup"):
            setup = _Setup(**self.setup_task_kwargs).bind(mgr=init, flow=flow)
        cleanup = _Cleanup(**self.cleanup_task_kwargs).bind(mgr=init, flow=flow)
        if setup is not None:
            cleanup.set_upstream(setup, flow, "resource")
        return ResourceContext(init, setup, cleanup, flow)


def resource_manager(
    resource_class: type | None = None,
    *,
    name: str | None = None,
    init_task_kwargs: dict[str, Any] | None = None,
    setup_task_kwargs: dict[str, Any] | None = None,
    cleanup_task_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Make a class with ``setup`` and ``cleanup`` a resource that tasks of a ``with`` block use.

    Parameters
    ----------
    resource_class : class
        With ``cleanup(self, resource)``, and ``setup(self)`` if there is something to hand to the tasks.
    name : str, optional
        Of its tasks; default: the class's.
    init_task_kwargs, setup_task_kwargs, cleanup_task_kwargs : dict, optional
        Options of :class:`~jupyter_flows.Task` for each of them.

    Raises
    ------
    InvalidTask : the class cannot be cleaned up.

    Examples
    --------
    >>> from jupyter_flows import Flow, task
    >>> @resource_manager
    ... class Folder:
    ...     def setup(self):
    ...         return "a folder"
    ...     def cleanup(self, folder):
    ...         print("removed", folder)
    >>> with Flow("with a folder") as flow:
    ...     with Folder() as folder:
    ...         used = task(lambda folder: f"used {folder}", name="use")(folder)
    >>> flow.run().result[used].result
    removed a folder
    'used a folder'
    """
    options = {
        "name": name,
        "init_task_kwargs": init_task_kwargs,
        "setup_task_kwargs": setup_task_kwargs,
        "cleanup_task_kwargs": cleanup_task_kwargs,
    }
    if resource_class is None:
        return lambda found: ResourceManager(found, **options)  # type: ignore[arg-type]
    return ResourceManager(resource_class, **options)  # type: ignore[arg-type]
