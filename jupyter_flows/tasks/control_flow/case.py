"""``with case(...)``: tasks that run if a task's result equals a value. Behaviour is Prefect 1's."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from jupyter_flows.core.current import current_case
from jupyter_flows.core.task import Task
from jupyter_flows.errors import InvalidFlow
from jupyter_flows.tasks.control_flow.compare import CompareValue, shortened

__all__ = ["case"]


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
