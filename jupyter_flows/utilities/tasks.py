"""Helpers for writing tasks, by Prefect 1's import path."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from jupyter_flows.core.apply_map import apply_map
from jupyter_flows.core.context import context
from jupyter_flows.core.current import current_flow, tags
from jupyter_flows.core.operators import Constant
from jupyter_flows.core.signals import PAUSE
from jupyter_flows.core.task import Task, task
from jupyter_flows.schema.base import utc_now

__all__ = ["apply_map", "as_task", "defaults_from_attrs", "pause_task", "tags", "task"]


def as_task(x: Any, flow: Any = None) -> Task:
    """Return *x* as a task: itself, a collection of tasks, or a constant.

    Examples
    --------
    >>> as_task(5).run()
    5
    """
    found = flow if flow is not None else current_flow.get()
    if found is not None:
        made: Task = found.as_task(x)
        return made
    return x if isinstance(x, Task) else Constant(x)


def defaults_from_attrs(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let missing arguments of a task's ``run`` be the task's attributes of these names.

    An argument that is given as None stays None.

    Examples
    --------
    >>> class Greet(Task):
    ...     def __init__(self, greeting, **kwargs):
    ...         self.greeting = greeting
    ...         super().__init__(**kwargs)
    ...     @defaults_from_attrs("greeting")
    ...     def run(self, name, greeting=None):
    ...         return f"{greeting} {name}"
    >>> Greet("hello").run("Ada")
    'hello Ada'
    """

    def decorate(run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def with_defaults(self: Any, *args: Any, **kwargs: Any) -> Any:
            for name in names:
                if name not in kwargs:
                    kwargs[name] = getattr(self, name)
            return run(self, *args, **kwargs)

        return with_defaults

    return decorate


def pause_task(message: str | None = None, duration: timedelta | None = None) -> None:
    """Pause the task that calls it until a person resumes it, or for a time; then it runs from its beginning.

    Parameters
    ----------
    message : str, optional
    duration : timedelta, optional
        Default: until ``flow.run(task_states={task: Resume()})``.

    Raises
    ------
    PAUSE : unless the task was resumed.
    """
    if context.get("resume"):
        return
    raise PAUSE(
        message or "Pause signal raised during task execution.",
        start_time=None if duration is None else utc_now() + duration,
    )
