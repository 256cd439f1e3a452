"""Flows: register, list, pause, explain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from jupyter_flows.core.labels import validate_labels
from jupyter_flows.core.why import match_agents, why_waiting
from jupyter_flows.errors import InvalidRequest, InvalidSchedule, Refused
from jupyter_flows.schedules import schedule_from_ref
from jupyter_flows.schedules.base import Schedule
from jupyter_flows.schema.agents import AgentRecord
from jupyter_flows.schema.base import PARAMETERS_LIMIT_BYTES, canonical_json, to_json
from jupyter_flows.schema.events import FlowChanged
from jupyter_flows.schema.flows import (
    AgentMatch,
    Explanation,
    FlowDetail,
    FlowPage,
    FlowSpec,
    FlowSummary,
    FlowVersion,
    RegisterFlow,
    RegisterResult,
    RunBrief,
    VersionBrief,
)
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.schema.server import Nothing
from jupyter_flows.server import scheduler
from jupyter_flows.server.api.call import Call, page_size
from jupyter_flows.server.api.parameters import check_parameters, fits
from jupyter_flows.server.store import Transaction
from jupyter_flows.server.store import agents as agent_store
from jupyter_flows.server.store import flows as store
from jupyter_flows.server.store import runs as run_store
from jupyter_flows.server.store import schedules as schedule_store
from jupyter_flows.server.store.flows import FlowRow
from jupyter_flows.server.store.runs import RunRow

_LAST_RUNS = 10
_RUNS_OF_DETAIL = 20


def register_flow(call: Call, request: RegisterFlow) -> RegisterResult:
    """Keep a flow's metadata; unchanged content makes no new version."""
    spec, tx = request.spec, call.tx
    _check_spec(spec)
    encoded = canonical_json(spec)
    digest = hashlib.sha256(encoded).hexdigest()
    flow = store.named_flow(tx, project=spec.project, name=spec.name)
    if flow is None:
        flow = store.add_flow(tx, project=spec.project, name=spec.name, paused=not request.activate_schedule)
    newest = store.get_version(tx, flow) if flow.version else None
    created = newest is None or newest.digest != digest
    moved = 0
    if newest is None or created:
        newest = store.add_version(
            tx, flow, spec=spec, encoded=encoded, digest=digest, registered_by=call.principal.name[:200]
        )
        flow = store.update_flow(tx, flow, version=newest.version)
    # Before the rest move: runs of a schedule that is no more are withdrawn, not moved.
    flow = _take_schedules(call, flow, newest, activate=request.activate_schedule)
    if created and newest.version > 1:
        moved = _move_runs(call, flow, newest)
    change = f"version {newest.version} registered" if created else "registered again, unchanged"
    tx.append(FlowChanged(flow_id=flow.id, name=flow.name, change=change), flow_id=flow.id)
    return RegisterResult(
        version=msgspec.convert(newest, VersionBrief, from_attributes=True),
        created=created,
        paused=flow.paused,
        moved_runs=moved,
        agents=_who_runs(spec, agent_store.list_agents(tx)),
        next_runs=() if flow.paused else _next_times(tx, spec, count=3),
    )


def list_flows(
    call: Call, *, project: str | None = None, after: str | None = None, limit: int | None = None
) -> FlowPage:
    """Return flows by name."""
    size = page_size(limit, default=100)
    position = None
    if after is not None:
        in_project, slash, name = after.partition("/")
        if not slash:
            raise InvalidRequest("after is not what a page named as next")
        position = (name, in_project)
    rows = store.list_flows(call.tx, project=project, after=position, limit=size + 1)
    more = len(rows) > size
    rows = rows[:size]
    versions = store.newest_specs(call.tx, rows)
    found = tuple(_summary(call.tx, row, versions[row.id]) for row in rows if row.id in versions)
    return FlowPage(flows=found, next=f"{rows[-1].project}/{rows[-1].name}" if more else None)


def get_flow(call: Call, *, flow: str, version: int | None = None) -> FlowDetail:
    """Return one flow, its newest (or given) version and last runs."""
    row = store.find_flow(call.tx, flow)
    newest = store.get_version(call.tx, row)
    shown = newest if version is None else store.get_version(call.tx, row, version=version)
    runs = run_store.last_runs(call.tx, row.id, count=_RUNS_OF_DETAIL)
    return FlowDetail(
        summary=_summary(call.tx, row, newest),
        version=shown,
        versions=store.version_numbers(call.tx, row),
        runs=tuple(run.record() for run in runs),
    )


def delete_flow(call: Call, *, flow: str) -> Nothing:
    """Forget a flow, its versions and ended runs."""
    row = store.find_flow(call.tx, flow)
    active = run_store.count_active(call.tx, row.id)
    if active:
        held = "a run is" if active == 1 else f"{active} runs are"
        raise Refused(f"{row.name} cannot be deleted: {held} with an agent; cancel first, or wait")
    store.delete_flow(call.tx, row)
    call.tx.append(FlowChanged(flow_id=row.id, name=row.name, change="deleted"))
    return Nothing()


def pause_flow(call: Call, *, flow: str) -> FlowSummary:
    """Stop making scheduled runs; those not started are withdrawn."""
    row = store.find_flow(call.tx, flow)
    if not row.paused or not row.paused_by_person:
        row = store.update_flow(call.tx, row, paused=True, by_person=True)
        reason = "withdrawn: the flow was paused"
        scheduler.withdraw_auto_runs(call.tx, row, leases=call.leases, reason=reason)
        call.tx.append(FlowChanged(flow_id=row.id, name=row.name, change="paused"), flow_id=row.id)
    return _summary(call.tx, row, store.get_version(call.tx, row))


def resume_flow(call: Call, *, flow: str) -> FlowSummary:
    """Make scheduled runs again, from now on."""
    row = store.find_flow(call.tx, flow)
    if row.paused:
        row = store.update_flow(call.tx, row, paused=False)
        for schedule in schedule_store.list_schedules(call.tx, row.id):
            scheduler.begin_schedule(call.tx, row, schedule)
        call.tx.append(FlowChanged(flow_id=row.id, name=row.name, change="resumed"), flow_id=row.id)
    return _summary(call.tx, row, store.get_version(call.tx, row))


def explain_flow(call: Call, *, flow: str) -> Explanation:
    """Say where the code is, who runs it, and why it does not start."""
    tx = call.tx
    row = store.find_flow(tx, flow)
    version = store.get_version(tx, row)
    spec = version.spec
    agents = agent_store.list_agents(tx)
    who = _who_runs(spec, agents)
    waiting = run_store.waiting_runs(tx, row.id, limit=10)
    sentences = []
    if row.paused and spec.schedules:
        sentences.append(f"its schedule is paused; `jupyter flows resume {row.name}` lets it go on")
    elif not spec.schedules:
        sentences.append(f"it has no schedule; `jupyter flows run {row.name}` runs it")
    if not any(match.takes for match in who):
        sentences.append("no agent would take it now")
    return Explanation(
        flow=row.name,
        where_code=_where_code(spec.storage),
        what_server_has=(
            f"version {version.version}: the names of {_counted(len(store.visible(spec)), 'task')}, "
            f"{_counted(len(spec.edges), 'edge')}, "
            f"{_counted(len(spec.parameters), 'parameter')} with their defaults, schedule, labels; no code"
        ),
        who_runs=who[:50],
        schedule=_schedule_text(spec) + (" (paused)" if row.paused and spec.schedules else ""),
        next_runs=() if row.paused else _next_times(tx, spec, count=3),
        waiting={
            run.name: why_waiting(run.record(), agents, now=tx.now, flow_paused=row.paused) for run in waiting
        },
        sentences=tuple(sentences),
    )


# -- parts -------------------------------------------------------------------------------------------


def _who_runs(spec: FlowSpec, agents: Sequence[AgentRecord]) -> tuple[AgentMatch, ...]:
    """Return which agents take a run, and which of them would fail for want of its kernel."""
    is_notebook = spec.fingerprint is not None and spec.storage.kind == "notebook"
    kernel = spec.fingerprint.kernel if spec.fingerprint is not None and is_notebook else None
    kernels = {agent.name: agent.kernels for agent in agents}
    return tuple(
        msgspec.structs.replace(match, reason=f"has no kernel {kernel}, so the run would fail there")
        if match.takes and kernel is not None and kernels[match.agent] and kernel not in kernels[match.agent]
        else match
        for match in match_agents(spec.labels, agents)
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _check_spec(spec: FlowSpec) -> None:
    validate_labels(spec.labels)
    slugs = [task.slug for task in spec.tasks]
    known = set(slugs)
    if len(known) != len(slugs):
        double = next(slug for slug in slugs if slugs.count(slug) > 1)
        raise InvalidRequest(f"two tasks of {spec.name} have the slug {double!r}")
    for edge in spec.edges:
        for end in (edge.upstream, edge.downstream):
            if end not in known:
                raise InvalidRequest(f"an edge of {spec.name} names the task {end!r}, which it has not")
    if spec.name.strip() != spec.name or not spec.name.isprintable() or "/" in spec.project:
        raise InvalidRequest(f"{spec.name!r} in {spec.project!r} is no name: no control characters, no '/'")
    size = len(to_json({parameter.name: parameter.default for parameter in spec.parameters}))
    if size > PARAMETERS_LIMIT_BYTES:
        raise InvalidRequest(
            f"the parameters of {spec.name} have {size} bytes; at most {PARAMETERS_LIMIT_BYTES} are kept"
        )
    for position, ref in enumerate(spec.schedules):
        schedule_from_ref(ref)
        if ref.labels is not None:
            validate_labels(ref.labels)
        check_parameters(spec, ref.parameters)
        if ref in spec.schedules[:position]:
            raise InvalidSchedule(f"{spec.name} has the same schedule twice: {ref.kind} {ref.options}")
    missing = [parameter.name for parameter in spec.parameters if parameter.required]
    for ref in spec.schedules:
        lacking = [name for name in missing if name not in ref.parameters]
        if lacking:
            raise InvalidSchedule(
                f"{spec.name} cannot run on a schedule: "
                f"its parameter {lacking[0]!r} has no default; give it one"
            )


def _move_runs(call: Call, flow: FlowRow, version: FlowVersion) -> int:
    """Let runs that wait use the new version; return how many did."""
    tx, moved = call.tx, 0
    total = len(store.visible(version.spec))
    for run in run_store.scheduled_runs(tx, flow.id):
        record = run.record()
        if run.version_pinned or run.version_id == version.id or not fits(version.spec, record.parameters):
            continue
        run_store.move_run(tx, run, version, total_tasks=total)
        moved += 1
    return moved


def _take_schedules(call: Call, flow: FlowRow, version: FlowVersion, *, activate: bool) -> FlowRow:
    tx = call.tx
    new, gone = schedule_store.replace_schedules(tx, flow.id, version.spec.schedules)
    if gone:
        reason = "withdrawn: the flow's schedule changed"
        scheduler.withdraw_auto_runs(tx, flow, leases=call.leases, reason=reason, keys=gone)
    if not activate and not flow.paused:
        flow = store.update_flow(tx, flow, paused=True)
        reason = "withdrawn: registered without its schedule"
        scheduler.withdraw_auto_runs(tx, flow, leases=call.leases, reason=reason)
    elif activate and flow.paused and not flow.paused_by_person:
        # Registering had paused it, so registering may let it go on; a person's pause stays.
        flow = store.update_flow(tx, flow, paused=False)
        new = schedule_store.list_schedules(tx, flow.id)
    if not flow.paused:
        for row in new:
            scheduler.begin_schedule(tx, flow, row)
    return flow


def _summary(tx: Transaction, flow: FlowRow, version: FlowVersion) -> FlowSummary:
    spec = version.spec
    last = run_store.last_runs(tx, flow.id, count=_LAST_RUNS)
    return FlowSummary(
        id=flow.id,
        name=flow.name,
        project=flow.project,
        version=version.version,
        paused=flow.paused,
        labels=spec.labels,
        schedules=spec.schedules,
        schedule_text=_schedule_text(spec),
        next_run_at=_next_run_at(tx, flow, spec),
        storage=spec.storage,
        parameters=spec.parameters,
        task_count=len(store.visible_slugs(tx, version.id)),
        last_runs=tuple(_brief(run) for run in last),
        registered_at=version.registered_at,
    )


def _brief(run: RunRow) -> RunBrief:
    took = None
    if run.started_at is not None and run.ended_at is not None:
        took = (run.ended_at - run.started_at).total_seconds()
    return RunBrief(
        id=run.id,
        name=run.name,
        state=run.state,
        at=run.started_at or run.scheduled_at,
        duration_s=took,
    )


def _next_run_at(tx: Transaction, flow: FlowRow, spec: FlowSpec) -> datetime | None:
    upcoming = run_store.next_scheduled_at(tx, flow.id)
    if upcoming is not None or flow.paused:
        return upcoming
    return next(iter(_next_times(tx, spec, count=1)), None)


def _next_times(tx: Transaction, spec: FlowSpec, *, count: int) -> tuple[datetime, ...]:
    times = {time for schedule in _schedules(spec) for time in schedule.next(count, after=tx.now)}
    return tuple(sorted(times))[:count]


def _schedules(spec: FlowSpec) -> list[Schedule]:
    found = []
    for ref in spec.schedules:
        try:
            found.append(schedule_from_ref(ref))
        except InvalidSchedule:
            continue
    return found


def _schedule_text(spec: FlowSpec) -> str:
    return "; ".join(schedule.in_words() for schedule in _schedules(spec))[:1000]


def _where_code(storage: StorageRef) -> str:
    digest = f", sha256 {storage.sha256[:12]}..." if storage.sha256 else ", not pinned"
    where = f" at {storage.location}" if storage.location else ""
    return f"in {storage.kind} storage{where}{digest}"[:1000]
