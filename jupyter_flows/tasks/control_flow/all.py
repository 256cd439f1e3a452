"""Branches in a flow: ``case``, ``switch``, ``ifelse``, ``merge``, and a filter of results.

Behaviour is Prefect 1's, but for its faults: ``merge`` takes branches in the order in which they are given
(not ``1, 10, 2``), and a branch that raised ``SKIP`` gives nothing (not the signal).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any

from jupyter_flows.core import triggers
from jupyter_flows.core.current import current_case, current_flow, tags
from jupyter_flows.core.signals import SKIP
from jupyter_flows.core.task import Task, task
from jupyter_flows.errors import InvalidFlow

__all__ = ["CompareValue", "FilterTask", "Merge", "case", "ifelse", "merge", "switch"]


LONGEST_VALUE = 40
"""How much of a value is shown in a task's name."""


def shortened(value: Any) -> str:
    """Return a value as a task's name shows it."""
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class CompareValue(Task):
    """Skips, and so skips what waits for it, unless it is given *value*.

    Parameters
    ----------
    value : any
    kwargs : any
        Of :class:`~jupyter_flows.Task`.
    """

    auto_generated = True

    def __init__(self, value: Any, **kwargs: Any) -> None:
        self.value = value
        # As Prefect 1 names it: a branch is known by its value, which thereby goes to the server.
        kwargs.setdefault("name", f'CompareValue: "{shortened(value)}"')
        super().__init__(**kwargs)

    def run(self, value: Any) -> None:
        """Raise SKIP unless *value* is the one that is compared with."""
        if value != self.value:
            raise SKIP("the value is another one")


class case:  # noqa: N801 - Prefect 1's name
    """A block whose tasks run if a task's result equals a value, and are skipped otherwise.

    A task that waits for another one of the block waits for the comparison through that one. Parameters and
    constants are not affected. Blocks nest.

    Parameters
    ----------
    task : Task
    value : any
        Not a task.

    Raises
    ------
    InvalidFlow : *task* is no task, or *value* is one.

    Examples
    --------
    >>> from jupyter_flows import Flow, Parameter, task
    >>> with Flow("branch") as flow:
    ...     kind = Parameter("kind", default="csv")
    ...     with case(kind, "csv"):
    ...         text = task(lambda: "text", name="read")()
    >>> flow.run().result[text].result, flow.run(kind="json").result[text].is_skipped()
    ('text', True)
    """

    def __init__(self, task: Task, value: Any) -> None:
        if isinstance(value, Task):
            msg = f"case(..., {value.name}): the value is a task; compare with a plain value"
            raise InvalidFlow(msg)
        if not isinstance(task, Task):
            msg = f"case({task!r}, ...): what is compared must be a task; decide about plain values with if"
            raise InvalidFlow(msg)
        self.task = task
        self.value = value
        self._tasks: dict[Task, None] = {}
        self._flow: Any = None
        self._token: Token[Any] | None = None

    def __enter__(self) -> None:
        self._token = current_case.set(self)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._token is not None
        current_case.reset(self._token)
        if kind is not None or not self._tasks:
            return
        flow = self._flow
        condition = CompareValue(self.value, name=f"case({shortened(self.value)})").bind(
            value=self.task, flow=flow
        )
        for child in self._tasks:
            if not any(upstream in self._tasks for upstream in flow.upstream_tasks(child)):
                child.set_upstream(condition, flow=flow)

    def add_task(self, task: Task, flow: Any) -> None:
        """Hear of a task that is added to the flow within the block.

        Raises
        ------
        InvalidFlow : to another flow than the first one.
        """
        if self._flow is None:
            self._flow = flow
        elif self._flow is not flow:
            both = f"{self._flow.name!r} and {flow.name!r}"
            msg = f"task {task.name!r}: a case block belongs to one flow, not to {both}"
            raise InvalidFlow(msg)
        self._tasks[task] = None


def switch(condition: Task, cases: Mapping[Any, Any], *, mapped: bool = False) -> None:
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


def ifelse(condition: Task, true_task: Any, false_task: Any, *, mapped: bool = False) -> None:
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


def _is_worth_keeping(value: Any) -> bool:
    return value is not None and not isinstance(value, BaseException)


class FilterTask(Task):
    """Keeps those of a list of results that are worth keeping; runs however they came about.

    Parameters
    ----------
    filter_func : callable, optional
        Of a result; default: neither None nor an exception.
    log_func : callable, optional
        Of the list of results that were left out; what it returns is logged.
    kwargs : any
        Of :class:`~jupyter_flows.Task`.

    Examples
    --------
    >>> FilterTask().run([1, None, ValueError(), 4])
    [1, 4]
    """

    def __init__(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        log_func: Callable[[list[Any]], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("skip_on_upstream_skip", False)
        kwargs.setdefault("trigger", triggers.all_finished)
        self.filter_func = filter_func or _is_worth_keeping
        self.log_func = log_func
        super().__init__(**kwargs)

    def run(self, task_results: list[Any]) -> list[Any]:
        """Return the results to keep."""
        if self.log_func is not None:
            from jupyter_flows.core.context import context

            left_out = [value for value in task_results if not self.filter_func(value)]
            if left_out:
                context.logger.info("%s", self.log_func(left_out))
        return [value for value in task_results if self.filter_func(value)]
