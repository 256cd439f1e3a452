"""Runs: ask for them, look at them, act on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_flows.core import transitions
from jupyter_flows.core.labels import validate_labels
from jupyter_flows.core.why import why_waiting
from jupyter_flows.errors import InvalidRequest, Refused
from jupyter_flows.schema.flows import FlowSpec
from jupyter_flows.schema.logs import LogPage
from jupyter_flows.schema.runs import (
    CancelRun,
    CreateRun,
    RetryRun,
    RunPage,
    RunRecord,
    StateEvent,
    TaskRunRecord,
)
from jupyter_flows.server.api.call import Call, page_size
from jupyter_flows.server.api.parameters import check_parameters
from jupyter_flows.server.names import run_name
from jupyter_flows.server.store import Transaction
from jupyter_flows.server.store import agents as agent_store
from jupyter_flows.server.store import flows as flow_store
from jupyter_flows.server.store import logs as log_store
from jupyter_flows.server.store import runs as store
from jupyter_flows.server.store import task_runs as task_store
from jupyter_flows.server.store.runs import RunRow

MOST_WAITING = 10_000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def create_run(call: Call, request: CreateRun, *, flow: str) -> RunRecord:
    """Ask for a run, now or at a time."""
    tx = call.tx
    row = flow_store.find_flow(tx, flow)
    if request.idempotency_key is not None:
        again = store.keyed_run(tx, row.id, request.idempotency_key)
        if again is not None:
            return _told(tx, again)
    version = flow_store.get_version(tx, row, version=request.version)
    check_parameters(version.spec, request.parameters, complete=True)
    labels = version.spec.labels if request.labels is None else validate_labels(request.labels)
    if store.count_waiting(tx, flow_id=row.id) >= MOST_WAITING:
        raise Refused(f"{row.name} has {MOST_WAITING} runs waiting already; start agents, or cancel some")
    name = request.name or run_name()
    if name.strip() != name or not name.isprintable():
        raise InvalidRequest(f"{name!r} is no name for a run: no control characters, no space at its ends")
    run = store.add_run(
        tx,
        name=name,
        flow_name=row.name,
        project=row.project,
        version=version,
        total_tasks=len(flow_store.visible_slugs(tx, version.id)),
        parameters=request.parameters,
        labels=labels,
        labels_from_flow=request.labels is None,
        scheduled_at=max(request.scheduled_at.astimezone(UTC), tx.now) if request.scheduled_at else tx.now,
        message=f"asked for by {call.principal.name}"[:1000],
        version_pinned=request.version is not None,
        idempotency_key=request.idempotency_key,
    )
    tx.schedules_changed = True
    return _told(tx, run)


def list_runs(
    call: Call,
    *,
    flow: str | None = None,
    state: str | None = None,
    before: str | None = None,
    limit: int | None = None,
) -> RunPage:
    """Return runs, newest first."""
    tx, size = call.tx, page_size(limit, default=50)
    flow_id = flow_store.find_flow(tx, flow).id if flow is not None else None
    if state is not None and state not in transitions.STATES:
        known = ", ".join(transitions.STATES)
        raise InvalidRequest(f"a run is never {state[:50]!r}; its states are {known}")
    position = None if before is None else _position(before)
    rows = store.list_runs(tx, flow_id=flow_id, state=state, before=position, limit=size + 1)
    more, rows = len(rows) > size, rows[:size]
    agents = agent_store.list_agents(tx) if any(row.state == "Scheduled" for row in rows) else ()
    paused: dict[str, bool] = {}
    for row in rows:
        if row.state == "Scheduled" and row.flow_id not in paused:
            paused[row.flow_id] = flow_store.find_flow(tx, row.flow_id).paused
    found = tuple(
        row.record(
            why=why_waiting(row.record(), agents, now=tx.now, flow_paused=paused[row.flow_id])
            if row.state == "Scheduled"
            else ()
        )
        for row in rows
    )
    last = rows[-1] if rows else None
    following = f"{(last.scheduled_at - _EPOCH) // _MICROSECOND}.{last.id}" if more and last else None
    return RunPage(runs=found, next=following)


def _position(text: str) -> tuple[datetime, str]:
    micros, _, run_id = text.partition(".")
    try:
        return _EPOCH + int(micros) * _MICROSECOND, run_id[:32]
    except (ValueError, OverflowError):
        raise InvalidRequest("before is not what a page named as next") from None


def get_run(call: Call, *, run: str) -> RunRecord:
    """Return one run, with why it waits."""
    return _told(call.tx, store.find_run(call.tx, run))


def get_run_spec(call: Call, *, run: str) -> FlowSpec:
    """Return the metadata of the flow version that a run runs."""
    return flow_store.version_by_id(call.tx, store.find_run(call.tx, run).version_id).spec


def list_task_runs(call: Call, *, run: str) -> tuple[TaskRunRecord, ...]:
    """Return the states of a run's tasks."""
    return task_store.list_task_runs(call.tx, store.find_run(call.tx, run).id)


def list_run_states(call: Call, *, run: str) -> tuple[StateEvent, ...]:
    """Return a run's history."""
    return store.run_states_of(call.tx, store.find_run(call.tx, run).id)


def list_logs(call: Call, *, run: str, after: int | None = None, limit: int | None = None) -> LogPage:
    """Return lines of a run's log."""
    row = store.find_run(call.tx, run)
    begin = max(0, after or 0)
    lines = log_store.list_logs(call.tx, row.id, after=begin, limit=page_size(limit, default=500))
    return LogPage(logs=lines, next=lines[-1].id if lines else begin)


def cancel_run(call: Call, request: CancelRun, *, run: str) -> RunRecord:
    """Stop a run."""
    row = store.find_run(call.tx, run, lock=True)
    message = request.message or f"cancelled by {call.principal.name}"
    return call.leases.advance(call.tx, row, transitions.Cancel(message=message[:1000])).record()


def retry_run(call: Call, request: RetryRun, *, run: str) -> RunRecord:
    """Run an ended run again."""
    row = store.find_run(call.tx, run, lock=True)
    message = request.message or f"retry asked by {call.principal.name}"
    return _told(call.tx, call.leases.advance(call.tx, row, transitions.Retry(message=message[:1000])))


def _told(tx: Transaction, row: RunRow) -> RunRecord:
    record = row.record()
    if row.state not in {"Scheduled", "Submitted", "Paused"}:
        return record
    agents = agent_store.list_agents(tx)
    paused = flow_store.find_flow(tx, row.flow_id).paused
    return row.record(why=why_waiting(record, agents, now=tx.now, flow_paused=paused))
