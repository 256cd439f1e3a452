"""One attempt of one task: its context, its call, and the state it ends in.

What is said of an exception is its class and its place, never its text: the text, values and source
lines stay where the run ran (``state.result`` and the traceback), because messages go to the server.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from jupyter_flows.core import context as contexts
from jupyter_flows.core import state as states
from jupyter_flows.core.signals import PrefectStateSignal
from jupyter_flows.core.state import State
from jupyter_flows.core.task import Task
from jupyter_flows.engine.backend import Backend, TaskTimedOut
from jupyter_flows.errors import FlowsError


class CellFailed(Exception):
    """A cell raised; ``str`` is a sentence without the exception's text, ``cause`` the exception."""

    def __init__(self, sentence: str, cause: BaseException | None = None) -> None:
        super().__init__(sentence)
        self.cause = cause


def attempt(task: Task, inputs: Mapping[str, Any], context: Mapping[str, Any], backend: Backend) -> State:
    """Call *task* once; return the state it ended in. Only interrupts are raised."""
    token = contexts.enter(context)
    try:
        timeout = task.timeout
        value = backend.call(task, inputs, context, None if timeout is None else timeout.total_seconds())
    except PrefectStateSignal as signal:
        return signal.state
    except TaskTimedOut as error:
        return states.TimedOut(f"Task {task.name} {error}.", error)
    except CellFailed as error:
        return states.Failed(str(error), error.cause or error)
    except FlowsError as error:
        return states.Failed(str(error), error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit of a task is a failure of that task
        return states.Failed(where(error, task), error)
    finally:
        contexts.leave(token)
    return states.Success("Task run succeeded.", value)


def where(error: BaseException, task: Task) -> str:
    """Return ``ValueError in task clean, line 3 (script.py:17); ...`` without any of the error's text."""
    sentence = f"{type(error).__name__} in task {task.name}"
    code = _code(task)
    frames = traceback.extract_tb(error.__traceback__)
    if code is not None:
        own = [frame for frame in frames if frame.filename == code.co_filename and frame.lineno is not None]
        if own:
            last = own[-1]
            assert last.lineno is not None
            line = last.lineno - code.co_firstlineno + 1
            sentence += f", line {line}" if line > 0 and last.name == code.co_name else ""
            name = Path(code.co_filename).name
            if not name.startswith(("<", "ipykernel_")) and name.endswith(".py"):
                sentence += f" ({name}:{last.lineno})"
    return f"{sentence}; its message and traceback stay where it ran"


def _code(task: Task) -> CodeType | None:
    function = inspect.unwrap(task.run)
    found = getattr(function, "__code__", None) or getattr(
        getattr(function, "__func__", None), "__code__", None
    )
    return found if isinstance(found, CodeType) else None
