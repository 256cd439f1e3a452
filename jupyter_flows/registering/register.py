"""Registering: metadata to the server, code to storage. Everything is checked before anything is written.

Order: the flow, its labels, schedule and storage are checked; the server is asked whether it is there and
knows us; the code is pickled and loaded back elsewhere; it is written, and its digest read back; the
metadata is sent. What was written for a registering that the server then refused is taken away again; if
the server's answer is lost it stays, since the flow may be registered.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack, closing
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.labels import validate_labels
from jupyter_flows.core.serialize import to_flow_spec
from jupyter_flows.environment.fingerprint import distributions_of, fingerprint_here
from jupyter_flows.errors import (
    FlowsError,
    InvalidFlow,
    InvalidOption,
    NotFound,
    ServerUnavailable,
)
from jupyter_flows.notebook.build import build_flow, require_tasks
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.notebook.read import NotebookCells, read_notebook
from jupyter_flows.registering.code import (
    Written,
    imports_of,
    loaded_elsewhere,
    only_here,
    pickled_code,
    put_code,
)
from jupyter_flows.registering.receipt import Receipt
from jupyter_flows.registering.source import Source, source_here
from jupyter_flows.run_configs import RunConfig, UniversalRun
from jupyter_flows.schedules import in_words, parse_schedule, schedule_from_ref
from jupyter_flows.schedules.base import Schedule
from jupyter_flows.schema.base import to_json
from jupyter_flows.schema.flows import FlowVersion, RegisterFlow, RegisterResult
from jupyter_flows.schema.refs import ScheduleRef, StorageRef
from jupyter_flows.settings import load_settings
from jupyter_flows.storage import Local, Notebook, Storage, load_script

if TYPE_CHECKING:
    from jupyter_flows.client.api import FlowsApi

STORAGES = {
    "notebook": Notebook(),
    "pickle": Local(),
    "local": Local(),
    "script": Local(stored_as_script=True),
}
"""Storages by the word that ``--storage`` takes."""

NO_SCHEDULE = "none"
"""What to give as schedule so that one that was given before is dropped."""

WITHOUT_EFFECT = ("idempotency_key", "no_url", "version_group_id")
"""Options of Prefect 1 that are taken and not needed: what has not changed makes no version anyway."""


def register(
    flow: FlowGraph,
    *,
    project: str | None = None,
    labels: Iterable[str] | None = None,
    schedule: Schedule | str | None = None,
    storage: Storage | str | None = None,
    run_config: RunConfig | None = None,
    set_schedule_active: bool = True,
    build: bool = True,
    source: Source | None = None,
    api: FlowsApi | None = None,
    **others: Any,
) -> Receipt:
    """Register a flow; return the receipt.

    Parameters
    ----------
    flow : FlowGraph
    project : str, optional
        Default: the flow's, else the setting ``project``.
    labels : iterable of str, optional
        Labels that runs ask for, besides those of the storage.
    schedule : Schedule or str, optional
        Default: the flow's; if it has none, the one that was given when it was registered before. "none":
        no schedule.
    storage : Storage or {"notebook", "pickle", "script"}, optional
        Default: the notebook itself for a notebook, the script for a script, else a pickle.
    run_config : RunConfig, optional
        Default: any agent.
    set_schedule_active : bool
        Whether a flow with a schedule begins to run by it. Registering again never resumes a paused one.
    build : bool
        False: only the metadata is sent; the code stays the one that is registered.
    source : Source, optional
        Where the flow came from; default: the notebook or script that runs here.
    api : FlowsApi, optional
        Default: of the configured or running server.
    others : any
        Prefect 1's ``idempotency_key``, ``no_url`` and ``version_group_id``, which have no effect.

    Raises
    ------
    ServerUnavailable : no answer came; the flow may be registered, so its code stays in storage.
    FlowsError : one sentence; nothing was registered and nothing new is in storage.
    """
    _refuse_unknown(others)
    source = source or source_here()
    flow.validate()
    if not flow.tasks:
        msg = f"flow {flow.name!r} has no task"
        raise InvalidFlow(msg)
    store = _storage(storage if storage is not None else flow.storage, flow, source)
    given = None if schedule == NO_SCHEDULE else schedule
    when = _schedule(given if given is not None else flow.schedule, flow)
    own_labels = [*flow.labels, *validate_labels(labels or ())]
    config: RunConfig = run_config or flow.run_config or UniversalRun()
    asked = validate_labels([*own_labels, *getattr(config, "labels", ()), *store.default_labels()])
    store.check()
    with ExitStack() as stack:
        if api is None:
            from jupyter_flows.client import connect

            api = stack.enter_context(closing(connect()))
        written = Written()
        # Is the server there, and does it know us? Asked before anything is written.
        project = project or flow.project or load_settings().project
        before = _before(api, flow, project)
        try:
            kept = before.spec if before is not None and when is None and schedule is None else None
            kept = kept if kept is not None and kept.schedule_given else None
            schedules = kept.schedules if kept is not None else () if when is None else when.to_refs()
            data = pickled_code(store, flow, source) if build else None
            with loaded_elsewhere(data, flow, source):
                # While another process loads the pickle, everything but its place is made ready here.
                modules = imports_of(flow, source)
                local = only_here(store, source, data, modules) if build else []
                draft = to_flow_spec(
                    flow,
                    storage=StorageRef(kind=store.kind, location=""),
                    run_config=config.to_ref(),
                    schedules=schedules,
                    schedule_given=given is not None or kept is not None,
                    labels=asked,
                    project=project,
                    fingerprint=_fingerprint(modules, source),
                )
            ref = put_code(store, flow, source, data, written) if build else _registered(api, flow)
            warnings = [*_unreadable(flow), *_another_file(before, ref), *local]
            spec = msgspec.structs.replace(draft, storage=ref)
            request = RegisterFlow(spec=spec, activate_schedule=set_schedule_active)
        except BaseException:
            written.take_back()
            raise
        result = _sent(api, request, written)
        return Receipt(
            result=result,
            spec=spec,
            server=api.url,
            metadata_bytes=len(to_json(request)),
            warnings=tuple(warnings),
            schedule_text=_schedule_words(schedules, before if kept is not None else None),
        )


def _refuse_unknown(others: Iterable[str]) -> None:
    for name in others:
        if name in WITHOUT_EFFECT:
            continue
        known = [*(register.__kwdefaults__ or ()), *WITHOUT_EFFECT]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        msg = f"register takes no option {name!r}; {hint}"
        raise InvalidOption(msg)


def _registered(api: FlowsApi, flow: FlowGraph) -> StorageRef:
    """Return where the code of the registered version is."""
    try:
        return api.get_flow(flow.name).version.spec.storage
    except NotFound as error:
        msg = f"flow {flow.name!r} is not registered yet, so there is no code to keep; leave out build=False"
        raise InvalidOption(msg) from error


def _before(api: FlowsApi, flow: FlowGraph, project: str) -> FlowVersion | None:
    """Return the version that is registered now; refuse if the server is not there, or does not know us."""
    try:
        detail = api.get_flow(flow.name)
    except NotFound:
        return None  # or the name is that of several
    except FlowsError:
        api.list_flows(limit=1)  # raises what is wrong with the server, or with us
        return None  # it was the name: registering says what is wrong with it
    return detail.version if detail.summary.project == project else None


def _schedule_words(schedules: Iterable[ScheduleRef], kept_from: FlowVersion | None) -> str:
    words = "; ".join(in_words(schedule_from_ref(ref)) for ref in schedules)
    if kept_from is None:
        return words
    return (
        f"{words}  (kept from version {kept_from.version}, for which it was given; --schedule none drops it)"
    )


def _unreadable(flow: FlowGraph) -> list[str]:
    """Return which cells will fail when they run, since they are no Python."""
    return [
        f"cell {task.index} ({task.name}) {warning}; it will fail when it runs"
        for task in flow.tasks
        if isinstance(task, CellTask)
        for warning in task.warnings
        if "cannot be read as Python" in warning
    ]


def _another_file(before: FlowVersion | None, ref: StorageRef) -> list[str]:
    """Return a warning if the name was that of another notebook or script until now."""
    earlier = None if before is None else before.spec.storage.options.get("source")
    now = ref.options.get("source")
    if before is None or not earlier or not now or earlier == now:
        return []
    which = f"version {before.version} came from {earlier}, this one from {now}"
    return [f"{which}; if these are two flows, give one of them another name"]


def _sent(api: FlowsApi, request: RegisterFlow, written: Written) -> RegisterResult:
    """Send the metadata; take the code away again if the server certainly does not have them."""
    try:
        return api.register_flow(request)
    except ServerUnavailable as error:
        # Sent, perhaps kept, not answered. A spare file is better than a registered flow without code.
        msg = (
            f"{error}; flow {request.spec.name!r} may have been registered; register again "
            "(what has not changed makes no new version)"
        )
        raise ServerUnavailable(msg) from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        written.take_back()
        raise


def register_notebook(
    path: str | Path,
    *,
    name: str | None = None,
    all_cells: bool = False,
    by_heading: bool = False,
    **options: Any,
) -> Receipt:
    """Register the notebook at *path*; options are those of :func:`register`.

    Parameters
    ----------
    all_cells : bool
        Every plain cell is a task; runs build the same graph. So a notebook needs no ``%%task``.
    by_heading : bool
        The plain cells under one Markdown heading are one task.

    Raises
    ------
    NotebookWithoutTasks : no cell begins with ``%%task``; with *all_cells*, no cell does anything.
    """
    path = Path(path)
    notebook = read_notebook(path)
    flow = flow_of_notebook(notebook, name=name, all_cells=all_cells, by_heading=by_heading)
    source = Source(notebook=notebook, path=path.absolute(), all_cells=all_cells, by_heading=by_heading)
    return register(flow, source=source, **options)


def flow_of_notebook(
    notebook: NotebookCells,
    *,
    name: str | None = None,
    all_cells: bool = False,
    by_heading: bool = False,
) -> FlowGraph:
    """Return the graph of a notebook that has at least one task."""
    flow: FlowGraph = build_flow(notebook, name, all_cells=all_cells, by_heading=by_heading)
    require_tasks(flow, notebook, all_cells=all_cells or by_heading)
    return flow


def register_script(path: str | Path, *, name: str | None = None, **options: Any) -> Receipt:
    """Execute the script at *path* and register its flow; options are those of :func:`register`."""
    path = Path(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    flow = load_script(path, name)
    module = sys.modules.get("__flow_script__")
    source = Source(path=path.absolute(), module=module, sha256=sha256)
    return register(flow, source=source, **options)


def _storage(asked: Storage | str | None, flow: FlowGraph, source: Source) -> Storage:
    declared = getattr(flow.declared, "storage", None)
    asked = asked if asked is not None else declared
    if asked is None:
        return source.default_storage()
    if isinstance(asked, str):
        if asked not in STORAGES:
            msg = f"no storage is called {asked!r}; there are {', '.join(STORAGES)}"
            raise InvalidOption(msg)
        asked = STORAGES[asked]
    if isinstance(asked, Notebook) and source.notebook is None:
        msg = (
            f"flow {flow.name!r} is not a notebook, which storage 'notebook' keeps; use 'pickle' or 'script'"
        )
        raise InvalidOption(msg)
    as_script = isinstance(asked, Local) and asked.stored_as_script
    if (
        as_script
        and not getattr(asked, "path", None)
        and (source.path is None or source.path.suffix != ".py" or source.notebook is not None)
    ):
        msg = f"flow {flow.name!r} came from no script; give Local(path=...) or use storage 'pickle'"
        raise InvalidOption(msg)
    return asked


def _schedule(asked: Schedule | str | None, flow: FlowGraph) -> Schedule | None:
    asked = asked if asked is not None else getattr(flow.declared, "schedule", None)
    return parse_schedule(asked) if isinstance(asked, str) else asked


def _fingerprint(modules: list[str], source: Source) -> Any:
    kernel = source.notebook.kernel if source.notebook is not None else None
    language = source.notebook.language if source.notebook is not None else None
    return fingerprint_here(distributions_of(modules), kernel=kernel, language=language)


def is_headless() -> bool:
    """Whether this process executes a registered run: there nothing is registered."""
    return bool(os.environ.get("JUPYTER_FLOWS_RUN_ID"))
