"""``switch``, ``ifelse`` and ``merge``: one of several tasks, and the result of the one that ran.

Behaviour is Prefect 1's, but for its faults: ``merge`` takes branches in the order in which they are given
(not ``1, 10, 2``), and a branch that raised ``SKIP`` gives nothing (not the signal).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_flows.core import triggers
from jupyter_flows.core.current import current_flow, tags
from jupyter_flows.core.task import Task, task
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.tasks.control_flow.compare import CompareValue

__all__ = ["CompareValue", "Merge", "ifelse", "merge", "switch"]


def switch(
    condition: Task,
    cases: Mapping[Any, Any],
    mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
) -> None:
    """Let the task of the value that *condition* gives run, and skip the others.

    Parameters
    ----------
    condition : Task
    cases : mapping
        Tasks (or constants) by value.
    mapped : bool
        Whether the condition is mapped over.

    Examples
    --------
    >>> from jupyter_flows import Flow, Parameter, task
    >>> with Flow("kinds") as flow:
    ...     csv, json = task(lambda: "rows", name="csv")(), task(lambda: "objects", name="json")()
    ...     switch(Parameter("kind", default="json"), {"csv": csv, "json": json})
    ...     found = merge(csv, json)
    >>> flow.run().result[found].result
    'objects'
    """
    flow = condition._flow(None)  # noqa: SLF001 - says that a flow is missing, in the task's own words
    with tags("switch"):
        for value, branch in cases.items():
            chosen = flow.as_task(branch)
            comparison = CompareValue(value).bind(value=condition, mapped=mapped, flow=flow)
            chosen.set_upstream(comparison, mapped=mapped, flow=flow)


def ifelse(
    condition: Task,
    true_task: Any,
    false_task: Any,
    mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
) -> None:
    """Let one of two tasks run, by whether *condition* gives something true.

    Parameters
    ----------
    condition : Task
    true_task, false_task : Task, constant or None
        None: nothing to do in that case.
    mapped : bool
        Whether the condition is mapped over.
    """
    truth = _truth.map(condition) if mapped else _truth(condition)
    branches = {True: true_task, False: false_task}
    switch(truth, {value: branch for value, branch in branches.items() if branch is not None}, mapped=mapped)


@task(name="as_bool")
def _truth(value: Any) -> bool:
    return bool(value)


class Merge(Task):
    """The result of the first branch that has one."""

    auto_generated = True

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.setdefault("skip_on_upstream_skip", False):
            msg = (
                "merge: skip_on_upstream_skip cannot be true; it would skip with each branch that is skipped"
            )
            raise InvalidFlow(msg)
        kwargs.setdefault("trigger", triggers.not_all_skipped)
        super().__init__(**kwargs)

    def run(self, **task_results: Any) -> Any:
        """Return the first result that is not None, in the order of the branches."""
        for key in sorted(task_results, key=_branch):
            if task_results[key] is not None:
                return task_results[key]
        return None


def _branch(key: str) -> int:
    return int(key.removeprefix("task_"))


def merge(*tasks: Any, flow: Any = None, mapped: bool = False, **kwargs: Any) -> Task:
    """Return a task with the result of the first of several branches that was not skipped.

    It is skipped if all of them were.

    Parameters
    ----------
    tasks : Task
    flow : Flow, optional
        Default: of the ``with`` block.
    mapped : bool
        Whether the branches are mapped tasks, to be merged child by child.
    kwargs : any
        Of :class:`~jupyter_flows.Task`: ``name``, ``checkpoint``, ...
    """
    branches = {f"task_{number}": one for number, one in enumerate(tasks, 1)}
    made = Merge(**kwargs)
    return made.bind(**branches, flow=flow or current_flow.get(), mapped=mapped)
