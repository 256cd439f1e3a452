"""What the engine says of a run, as it may leave this process: states and log lines, no text of errors.

Tracebacks are the one thing kept back: they go to ``traceback.txt`` in the run's directory.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from jupyter_flows.core.state import expanded
from jupyter_flows.runtime.report_pipe import ReportPipe
from jupyter_flows.schema.runs import StateName

if TYPE_CHECKING:
    from jupyter_flows.core.graph import FlowGraph
    from jupyter_flows.core.state import State

STATE_NAMES: frozenset[str] = frozenset(get_args(StateName))
TRACEBACKS = "traceback.txt"

Tell = Callable[..., None]
"""``tell(slug, name, state, *, message, attempt, map_index)``"""


class EngineReporter:
    """The engine's reporter of a headless run.

    Parameters
    ----------
    pipe : ReportPipe
        Where log lines go.
    tell : callable, optional
        Where states of tasks go; default: the pipe.
    directory : Path, optional
        Where tracebacks are kept; default: nowhere.
    """

    def __init__(self, pipe: ReportPipe, *, tell: Tell | None = None, directory: Path | None = None) -> None:
        self._pipe = pipe
        self._tell = tell or pipe.task_state
        self._directory = directory

    def flow_run_state(self, state: State) -> None:
        """Nothing: the server knows that the run runs, and its end is told when everything is."""

    def task_run_state(self, *, slug: str, name: str, map_index: int, state: State, attempt: int) -> None:
        """Pass a task's state on; keep its traceback here."""
        if isinstance(state.result, BaseException):
            keep_traceback(self._directory, state.result, title=f"{name}, attempt {attempt}")
            self._pipe.said_here(
                slug, getattr(state.result, "class_name", ""), getattr(state.result, "said", "")
            )
        if state.is_successful() and map_index < 0:
            self._pipe.log("INFO", name_of(state), task=name)
        self._tell(
            slug,
            name,
            name_of(state),
            message=_plain_message(state),
            attempt=attempt,
            map_index=map_index,
        )

    def log(self, *, level: str, logger: str, message: str, task: str | None, at: datetime) -> None:
        """Pass a line of the flow's log on."""
        del at
        self._pipe.log(level, message, logger=logger, task=task)


def name_of(state: State) -> StateName:
    """Return the schema's name of a state; a user's own class counts as the one it extends."""
    for kind in type(state).__mro__:
        if kind.__name__ in STATE_NAMES:
            return kind.__name__  # type: ignore[return-value]
    return "Failed"


def final_message(graph: FlowGraph, final: State) -> tuple[StateName, str]:
    """Return the flow's final state and a sentence; of a failure, which task failed first and why."""
    name = name_of(final)
    by_task = final.result if isinstance(final.result, dict) else {}
    every = [
        (task.name if len(found) == 1 and found[0] is by_task[task] else f"{task.name}[{index}]", state)
        for task in graph.tasks
        if task in by_task
        for found in [expanded(by_task[task])]
        for index, state in enumerate(found)
    ]
    failed = [
        (task, state) for task, state in every if state.is_failed() and name_of(state) != "TriggerFailed"
    ]
    if not final.is_failed() or not failed:
        return name, final.message or ""
    task, state = failed[0]
    others = [other for _, other in every if other.is_failed()]
    more = f" ({len(others) - 1} more failed or could not run)" if len(others) > 1 else ""
    reason = _plain_message(state).rstrip(".")
    return name, f"task {task} failed: {reason}{more}"


def keep_traceback(directory: Path | None, error: BaseException, *, title: str = "") -> None:
    """Append an error's traceback to the run's own file; it never leaves this machine."""
    if directory is None:
        return
    text = getattr(error, "traceback", None)
    if not isinstance(text, str):
        text = "".join(traceback.format_exception(error))
    with (directory / TRACEBACKS).open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(f"-- {title or error}\n{text.rstrip()}\n\n")


def _plain_message(state: State) -> str:
    """Return the state's message; of success there is nothing to say."""
    if name_of(state) in {"Success", "Running"}:
        return ""
    # Said by the engine for people at their desk; here the file is named in the documentation.
    return (state.message or "").removesuffix("; its message and traceback stay where it ran")
