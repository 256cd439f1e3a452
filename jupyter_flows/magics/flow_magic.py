"""``%flow``: declare the flow, see it, run it here, register it, look at its runs.

Every verb has a Python twin. A mistake is one sentence, shown without a traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from jupyter_flows.core.parameter import read_values
from jupyter_flows.errors import FlowsError, NotebookNotSaved, NotebookWithoutTasks
from jupyter_flows.magics.cell_output import broken
from jupyter_flows.magics.debugging import debug
from jupyter_flows.notebook.flow_line import FlowLine, declaration, parse_flow_line
from jupyter_flows.widget.dag import sentence
from jupyter_flows.widget.live import LiveDag, LiveReporter

if TYPE_CHECKING:
    from jupyter_flows.client.api import FlowsApi


def flow_line(shell: Any, line: str, *, headless: bool) -> None:
    """Do what stands behind ``%flow``.

    Raises
    ------
    UsageError : IPython's own, with the sentence of whatever went wrong.
    """
    from IPython.core.error import UsageError

    if headless:
        print(f"(%flow {line}: nothing to do in a headless run)")  # noqa: T201 - a cell's output
        return
    try:
        asked = parse_flow_line(line)
        VERBS[asked.verb](shell, asked)
    except FlowsError as error:
        raise UsageError(str(error)) from None


def current_flow(shell: Any, *, name: str | None = None) -> Any:
    """Return the flow of the notebook as it stands: a :class:`~jupyter_flows.flow.Flow` of its cells.

    Its edges are those of the source, and those that running the cells here has shown.

    Raises
    ------
    FlowsError : the cells make no flow; which, and why.
    """
    from jupyter_flows.flow import Flow
    from jupyter_flows.notebook.build import build_flow

    notebook = shell.jupyter_flows_recorder.notebook()
    flow = build_flow(notebook, name, make=Flow, observed=shell.jupyter_flows_desk.observed(notebook))
    if not any(task.role == "task" for task in flow.tasks):
        msg = "this notebook has no task yet: begin a cell with %%task, run it, and try again"
        raise NotebookWithoutTasks(msg)
    return flow


def _show(shell: Any, asked: FlowLine) -> None:
    """Show the graph, and let it follow the cells from now on."""
    from jupyter_flows.core.labels import validate_labels
    from jupyter_flows.schedules import parse_schedule

    validate_labels(asked.labels)
    if asked.schedule:
        parse_schedule(asked.schedule)
    flow = current_flow(shell, name=asked.name)
    live = LiveDag(flow, states=_cell_states(shell, flow))
    live.show()
    _Follower(shell, live, flow).follow()


class _Follower:
    """Colours a picture as cells run; a newer picture takes its place."""

    def __init__(self, shell: Any, live: LiveDag, flow: Any) -> None:
        self._shell = shell
        self._live = live
        self._flow = flow
        self._seen = self._now()

    def _now(self) -> tuple[Any, Any]:
        """Return what shapes the graph: the cells, and what running them has shown."""
        notebook = self._shell.jupyter_flows_recorder.notebook()
        return notebook, self._shell.jupyter_flows_desk.observed(notebook)

    def follow(self) -> None:
        """Hear of cells from now on, in place of an earlier picture."""
        watchers = self._shell.jupyter_flows_recorder.watchers
        for earlier in [watcher for watcher in watchers if isinstance(watcher, _Follower)]:
            watchers.remove(earlier)
            earlier.stop()
        watchers.append(self)

    def stop(self) -> None:
        """Bring the picture up to date a last time; nothing comes later."""
        self._live.refresh(now=True)

    def __call__(self, cell: Any) -> None:
        """Colour the cell's task; an edited cell may change the graph."""
        now = self._now()
        is_edited = now != self._seen
        if is_edited:
            self._seen = now
            # Cells that make no flow at the moment (two tasks of one name, say) leave the picture as it is.
            with contextlib.suppress(FlowsError):
                self._flow = current_flow(self._shell, name=self._live.title)
                self._live.set_graph(self._flow)
        states = _cell_states(self._shell, self._flow)
        if is_edited or states != self._live.states:
            self._live.states = states
            self._live.refresh(now=cell.state != "Running")


def _cell_states(shell: Any, flow: Any) -> dict[str, dict[str, Any]]:
    """Return the states of the flow's cells, by slug, as far as they were run here; ``stale`` says why."""
    recorder = shell.jupyter_flows_recorder
    notebook = recorder.notebook()
    standings = shell.jupyter_flows_desk.standings(notebook)
    found: dict[str, dict[str, Any]] = {}
    for task, slug in flow.slugs.items():
        cell = recorder.cells.get(task.cell_id)
        members = (notebook.cells[index - 1].id for index in task.members)
        old = [standings[member] for member in members if member in standings]
        stale = next((standing.reason for standing in old if standing.status == "stale"), "")
        if cell is None or (cell.state == "Pending" and not stale):
            continue
        state: dict[str, Any] = {
            "state": cell.state,
            "message": f"{cell.error} in this cell" if cell.error else "",
        }
        if cell.started_at is not None:
            state["started_at"] = cell.started_at.isoformat()
            if cell.ended_at is not None:
                state["ended_at"] = cell.ended_at.isoformat()
                state["duration_s"] = (cell.ended_at - cell.started_at).total_seconds()
        if stale and cell.state != "Running":
            state["stale"] = stale
        found[slug] = state
    return found


def _run(shell: Any, asked: FlowLine) -> None:
    """Run the flow by the engine in a namespace of its own; or, among the user's names, what is stale."""
    from jupyter_flows.engine.flow_runner import FlowRunner

    if asked.stale:
        from jupyter_flows.magics.catching_up import catch_up

        catch_up(shell)
        return
    flow = current_flow(shell)
    values = read_values(asked.params, defaults={spec.name: spec.default for spec in flow.parameter_specs})
    flow.check_parameters(values)
    live = LiveDag(flow, run={"name": "in this kernel"})
    live.show()
    state = FlowRunner(flow, reporter=LiveReporter(live)).run(values, reraise=False)
    live.refresh(now=True)
    print(f"{sentence(live._nodes, live.states, title=flow.name)}. {state.message}")  # noqa: T201, SLF001
    for task, task_state in (state.result or {}).items():
        if task_state.is_failed():
            print(f"  {task.name}: {type(task_state).__name__}. {task_state.message}")  # noqa: T201


def saved_notebook(shell: Any, asked: FlowLine, *, verb: str) -> Path:
    """Return the notebook's file, if what was run here is saved in it.

    Raises
    ------
    NotebookNotSaved : it is not known, or differs.
    """
    from jupyter_flows.magics.front_end import find_notebook

    recorder = shell.jupyter_flows_recorder
    given = asked.path or (asked.words[0] if asked.words else None)
    path: Path | None = find_notebook(given, then=f"{verb} again") if given else recorder.path
    if path is None:
        msg = f"this kernel does not know the notebook's file; save it and name it: %flow {verb} PATH.ipynb"
        raise NotebookNotSaved(msg)
    if recorder.path is None or recorder.path.absolute() == path.absolute():
        recorder.check_saved(path, then=f"{verb} again")
    return path


def _register(shell: Any, asked: FlowLine) -> None:
    """Send the metadata, store the notebook, show the receipt."""
    from IPython.display import display

    from jupyter_flows.analysis.observed import hints
    from jupyter_flows.registering import register_notebook

    path = saved_notebook(shell, asked, verb="register")
    display(
        register_notebook(
            path,
            labels=asked.labels,
            schedule=asked.schedule,
            storage=asked.storage,
            project=asked.project,
            all_cells=asked.all_cells,
            by_heading=asked.by_heading,
        )
    )
    known = shell.jupyter_flows_recorder.path
    if known is not None and path.absolute() == known.absolute():
        for hint in hints(shell.jupyter_flows_desk.analysis()):
            print(f"(not registered, for a run sees only the source: {hint})")  # noqa: T201


def _check(shell: Any, asked: FlowLine) -> None:
    """Run the saved notebook by its graph, and print what then differs."""
    from jupyter_flows.magics.checking import check_apart

    report = check_apart(
        saved_notebook(shell, asked, verb="check"),
        runs=asked.runs,
        seed=asked.seed,
        budget=asked.budget,
        cell_timeout=asked.cell_timeout,
        all_cells=asked.all_cells,
    )
    print(broken(report.lines))  # noqa: T201


def _infer(shell: Any, asked: FlowLine) -> None:
    """Show the graph of the saved notebook in which every cell is a task, and what is to say of it."""
    from jupyter_flows.notebook.build import build_flow
    from jupyter_flows.notebook.infer import infer
    from jupyter_flows.notebook.inferred_text import inferred_lines
    from jupyter_flows.notebook.read import read_notebook

    notebook = read_notebook(saved_notebook(shell, asked, verb="infer"))
    found = infer(notebook, by_heading=asked.by_heading)
    if any(task.role == "task" for task in found.tasks):
        LiveDag(build_flow(notebook, all_cells=True, by_heading=asked.by_heading)).show()
    print(broken(inferred_lines(found, is_in_notebook=not (asked.path or asked.words))))  # noqa: T201


@contextlib.contextmanager
def _server() -> Iterator[FlowsApi]:
    from jupyter_flows.client import connect

    with contextlib.closing(connect()) as api:
        yield api


def _name(shell: Any, asked: FlowLine) -> str:
    """Return the flow that is meant: the named one, else this notebook's, even if a cell is wrong."""
    if asked.words:
        return asked.words[0]
    notebook = shell.jupyter_flows_recorder.notebook()
    return declaration(cell.source for cell in notebook.cells).name or PurePath(notebook.path).stem


def _why(shell: Any, asked: FlowLine) -> None:
    """Say why one task waits for another."""
    from jupyter_flows.errors import InvalidOption
    from jupyter_flows.notebook.reasons import reasons

    if len(asked.words) != 2:
        msg = "%flow why takes two tasks, as in '%flow why load report'; each a name, or a cell's number"
        raise InvalidOption(msg)
    for line in reasons(shell.jupyter_flows_desk.analysis(), *asked.words):
        print(line)  # noqa: T201


def _runs(shell: Any, asked: FlowLine) -> None:
    """List the last runs."""
    name = _name(shell, asked)
    with _server() as api:
        page = api.list_runs(flow=name, limit=10)
    if not page.runs:
        print(f"{name} has no runs yet")  # noqa: T201
    for run in page.runs:
        when = (run.started_at or run.scheduled_at).astimezone()
        print(f"{when:%Y-%m-%d %H:%M:%S}  {run.name:<24} {run.state.type:<10} {run.state.message}")  # noqa: T201
        for reason in run.why:
            print(f"{'':<21}waits: {reason}")  # noqa: T201


def _logs(shell: Any, asked: FlowLine) -> None:
    """Print the log of a run; default the last one."""
    from jupyter_flows.errors import NotFound

    with _server() as api:
        if asked.words:
            run = api.get_run(asked.words[0])
        else:
            name = _name(shell, asked)
            runs = api.list_runs(flow=name, limit=1).runs
            if not runs:
                msg = f"{name} has no runs yet"
                raise NotFound(msg)
            run = runs[0]
        lines = api.list_logs(run.id, limit=1000).logs
    print(f"{run.name}: {run.state.type}")  # noqa: T201
    for line in lines:
        where = f" {line.task}:" if line.task else ""
        print(f"{line.at.astimezone():%H:%M:%S} {line.level:<8}{where} {line.message}")  # noqa: T201


def _explain(shell: Any, asked: FlowLine) -> None:
    """Say where the code is, who runs it, and why it does not start."""
    with _server() as api:
        answer = api.explain_flow(_name(shell, asked))
    print(answer.where_code)  # noqa: T201
    print(answer.what_server_has)  # noqa: T201
    for match in answer.who_runs:
        print(f"{match.agent}: {'takes it' if match.takes else match.reason}")  # noqa: T201
    for run, reasons in answer.waiting.items():
        print(f"{run} waits: {'; '.join(reasons)}")  # noqa: T201
    for text in answer.sentences:
        print(text)  # noqa: T201


def _pause(shell: Any, asked: FlowLine) -> None:
    """Stop making scheduled runs."""
    with _server() as api:
        summary = api.pause_flow(_name(shell, asked))
    print(f"{summary.name} is paused")  # noqa: T201


def _resume(shell: Any, asked: FlowLine) -> None:
    """Make scheduled runs again."""
    with _server() as api:
        summary = api.resume_flow(_name(shell, asked))
    when = f"; next run {summary.next_run_at.astimezone():%Y-%m-%d %H:%M:%S}" if summary.next_run_at else ""
    print(f"{summary.name} is active{when}")  # noqa: T201


def _cancel(shell: Any, asked: FlowLine) -> None:
    """Stop a run; default the newest one that has not ended."""
    from jupyter_flows.errors import NotFound
    from jupyter_flows.schema.runs import CancelRun

    ended = {"Success", "Failed", "Cancelled", "Skipped"}
    with _server() as api:
        if asked.words:
            target = asked.words[0]
        else:
            name = _name(shell, asked)
            runs = api.list_runs(flow=name, limit=20).runs
            target = next((run.id for run in runs if run.state.type not in ended), "")
            if not target:
                msg = f"no run of {name} is waiting or running"
                raise NotFound(msg)
        run = api.cancel_run(target, CancelRun())
    print(f"{run.name} is {run.state.type}")  # noqa: T201


def _doctor(shell: Any, asked: FlowLine) -> None:
    """Look at every part that registering and running need, and say how it is."""
    from jupyter_flows.magics.doctor import examine

    del asked
    before = ""
    for what, is_well, text in examine(shell, lambda: current_flow(shell)):
        print(f"{'ok' if is_well else '!!'}  {what if what != before else '':<14} {text}")  # noqa: T201
        before = what


VERBS = {
    None: _show,
    "run": _run,
    "register": _register,
    "why": _why,
    "check": _check,
    "infer": _infer,
    "runs": _runs,
    "logs": _logs,
    "explain": _explain,
    "doctor": _doctor,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "debug": debug,
}
"""What each word behind ``%flow`` does."""
