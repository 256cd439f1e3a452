"""One attempt of one task: its context, its call, and the state it ends in.

What is said of an exception is its class and its place, never its text: the text, values and source
lines stay where the run ran (``state.result`` and the traceback), because messages go to the server.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from jupyter_flows.core import context as contexts
from jupyter_flows.core import state as states
from jupyter_flows.core.signals import ENDRUN, PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine import cache
from jupyter_flows.engine.backend import Backend, FunctionBackend
from jupyter_flows.engine.limits import TaskTimedOut, can_alarm
from jupyter_flows.engine.stdout import printing_to
from jupyter_flows.errors import EnvironmentFault

if TYPE_CHECKING:
    from jupyter_flows.engine.apart import Apart

_FUNCTIONS = FunctionBackend()

STAYS = "its message and traceback stay where it ran"


class CellFailed(Exception):
    """A cell raised; ``str`` is a sentence without the exception's text, ``cause`` the exception."""

    def __init__(self, sentence: str, cause: BaseException | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause


class CellKept(PrefectStateSignal):
    """The values of a cell with ``--cache-for`` are those of an earlier run; it did not run."""

    kind = states.Cached


def kept_message(origin: str) -> str:
    """Return from where the result of a cell with ``--cache-for`` is, that did not run."""
    return f"from cache, {origin}"


def skip_message(task: Task) -> str:
    """Return why a cell with ``--when`` did not run; the expression is code and stays where it is."""
    return f"the condition of {task.name} (--when) is false"


def condition_failed(class_name: str, task: Task) -> str:
    """Return what is said of a condition that raised."""
    return f"{class_name} in the condition (--when) of cell {task.name}; {STAYS}"


def attempt(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], backend: Backend) -> State:
    """Call *task* once; return the state it ended in. Only KeyboardInterrupt is raised."""
    if task.timeout is not None and not can_alarm():
        state = _apart(task, inputs, context, backend)
        if state is not None:
            return state
    if task.task_run_name is not None:
        context = {**context, "task_run_name": cache.run_name(task, inputs, context)}
    token = contexts.enter(context)
    try:
        timeout = task.timeout
        timeout_s = None if timeout is None else timeout.total_seconds()
        if task.log_stdout:
            with printing_to(context["logger"]):
                value = backend.call(task, inputs, context, timeout_s)
        else:
            value = backend.call(task, inputs, context, timeout_s)
    except PrefectStateSignal as signal:
        state = signal.state
        if isinstance(state, states.Retrying):
            state.run_count = context.get("task_run_count", 1)
        elif isinstance(state, states.Looped):
            state.loop_count = context.get("task_loop_count", 1)
        return state
    except ENDRUN as end:
        # Not tried again, as when a state handler raises it.
        end.state.context["ends_run"] = True
        return end.state
    except TaskTimedOut as error:
        return states.TimedOut(f"task {task.name} {error}", error)
    except CellFailed as error:
        return states.Failed(str(error), error.cause or error)
    except EnvironmentFault as error:
        return states.Failed(str(error), error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if context.get("raise_on_exception"):
            raise
        # SystemExit of a task is a failure of that task.
        return states.Failed(where(error, task), error)
    else:
        if cache.keeps(task, context):
            return cache.keep(task, inputs, context, value)
        return states.Success("Task run succeeded.", value)
    finally:
        contexts.leave(token)


def _apart(
    task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], backend: Backend
) -> State | None:
    """Make the attempt in a process that can be killed; None if it must be made here."""
    processes: Callable[[Task], Apart | None] | None = getattr(backend, "apart", None)
    apart = processes(task) if processes is not None else None
    if apart is None or task.timeout is None:
        return None
    seconds = task.timeout.total_seconds()
    return apart.attempt(attempt, task, inputs, context, _FUNCTIONS, timeout_s=seconds)


def where(error: BaseException, task: Task) -> str:
    """Return ``ValueError in task clean, line 3 (script.py:17); ...`` without any of the error's text."""
    sentence = f"{type(error).__name__} in task {task.name}"
    code = _code(task)
    traceback = error.__traceback__
    line = None
    while code is not None and traceback is not None:
        if traceback.tb_frame.f_code is code:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if code is not None and line is not None:
        sentence += f", line {line - code.co_firstlineno + 1}"
        path = Path(code.co_filename)
        # A cell of a notebook is compiled under a name that says nothing to its author.
        if path.suffix == ".py" and not path.parent.name.startswith("ipykernel_"):
            sentence += f" ({path.name}:{line})"
    return f"{sentence}; {STAYS}"


def _code(task: Task) -> CodeType | None:
    function = inspect.unwrap(task.run)
    found = getattr(function, "__code__", None) or getattr(
        getattr(function, "__func__", None), "__code__", None
    )
    return found if isinstance(found, CodeType) else None
