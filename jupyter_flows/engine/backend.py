"""How the body of a task is called: here, as a function. Other backends run cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from jupyter_flows.core.task import Task
from jupyter_flows.engine.limits import TaskTimedOut, call_within

__all__ = ["Backend", "FunctionBackend", "TaskTimedOut"]


class Backend(Protocol):
    """Calls bodies of tasks. May have ``restore(task, result)``, which hears of results it did not make."""

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call *task* with *inputs*; return its value or raise what it raised.

        Raises
        ------
        TaskTimedOut : it took longer than *timeout_s*.
        """


class FunctionBackend:
    """Calls ``task.run`` in this process."""

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call ``task.run(**inputs)``."""
        del context
        if timeout_s is None:
            return task.run(**inputs)
        return call_within(timeout_s, lambda: task.run(**inputs))
