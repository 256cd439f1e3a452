"""How the body of a task is called: here, as a function. Other backends run cells."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_flows.core.task import Task
from jupyter_flows.engine.limits import TaskTimedOut, call_within

if TYPE_CHECKING:
    from jupyter_flows.engine.apart import Apart

__all__ = ["Backend", "FunctionBackend", "TaskTimedOut"]


class Backend(Protocol):
    """Calls bodies of tasks.

    May have ``restore(task, result)``, which hears of results it did not make; and ``apart(task)``, which
    returns processes (:class:`~jupyter_flows.engine.apart.Apart`) for an attempt with a timeout that cannot
    be stopped in this thread, or None if the task must run here.
    """

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call *task* with *inputs*; return its value or raise what it raised.

        Raises
        ------
        TaskTimedOut : it took longer than *timeout_s*.
        """


class FunctionBackend:
    """Calls ``task.run`` in this process; attempts that need another one for their timeout find it here."""

    def __init__(self) -> None:
        self._apart: Apart | None = None
        self._lock = threading.Lock()

    def call(
        self, task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], timeout_s: float | None
    ) -> Any:
        """Call ``task.run(**inputs)``."""
        del context
        if timeout_s is None:
            return task.run(**inputs)
        return call_within(timeout_s, lambda: task.run(**inputs))

    def apart(self, task: Task) -> Apart:
        """Return the processes for attempts with a timeout."""
        del task
        with self._lock:
            if self._apart is None:
                from jupyter_flows.engine.apart import Apart

                self._apart = Apart()
        return self._apart

    def close(self) -> None:
        """End the processes."""
        if self._apart is not None:
            self._apart.close()
            self._apart = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FunctionBackend, ()
