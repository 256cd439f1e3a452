"""Runs: claiming, changing, listing. Every change of a run writes its row, its history and an event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from jupyter_flows.errors import NotFound
from jupyter_flows.schema.base import from_json, new_id, to_json
from jupyter_flows.schema.events import RunChanged
from jupyter_flows.schema.flows import FlowVersion
from jupyter_flows.schema.refs import ResultRef
from jupyter_flows.schema.runs import RunRecord, StateEvent, StateName, StateRecord
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.tables import flows, run_states, run_tokens, runs, versions

LEASED = ("Submitted", "Running", "Cancelling")
_BEGINNING = re.compile(r"[0-9a-f]{6,32}")
_decode_labels = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_parameters = msgspec.json.Decoder(dict[str, Any]).decode


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``runs`` with what it needs of its flow and version."""

    id: str
    name: str
    flow_id: str
    flow_name: str
    project: str
    version: int
    version_id: str
    version_pinned: bool
    labels_from_flow: bool
    state: StateName
    message: str
    state_at: datetime
    parameters: str
    labels: str
    scheduled_at: datetime
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    schedule_key: str | None = None
    occurrence_at: datetime | None = None
    idempotency_key: str | None = None
    token: int = 0
    attempt: int = 0
    attempt_started: bool = False
    agent: str | None = None
    agent_id: str | None = None
    holder_token_id: str | None = None
    claim_key: str | None = None
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    timeout_at: datetime | None = None
    lost: bool = False
    lost_at: datetime | None = None
    on_lost: Literal["fail", "rerun"] = "fail"
    total_timeout_s: float | None = None
    last_seq: int = 0
    result: str | None = None
    done_tasks: int = 0
    total_tasks: int = 0

    @property
    def label_set(self) -> tuple[str, ...]:
        """The labels that the run asks for."""
        return _decode_labels(self.labels)

    def record(self, *, why: tuple[str, ...] = ()) -> RunRecord:
        """Return the run as others see it."""
        return RunRecord(
            id=self.id,
            name=self.name,
            flow_id=self.flow_id,
            flow_name=self.flow_name,
            project=self.project,
            version=self.version,
            version_id=self.version_id,
            state=StateRecord(type=self.state, message=self.message, at=self.state_at),
            parameters=_decode_parameters(self.parameters),
            labels=self.label_set,
            scheduled_at=self.scheduled_at,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            auto_scheduled=self.schedule_key is not None,
            attempt=self.attempt,
            token=self.token,
            agent=self.agent,
            lost=self.lost,
            result=None if self.result is None else from_json(self.result, ResultRef),
            done_tasks=min(self.done_tasks, self.total_tasks),
            total_tasks=self.total_tasks,
            why=why,
        )


_JOINED = {"flow_name", "project", "version", "total_tasks"}
_COLUMNS = tuple(field for field in RunRow.__struct_fields__ if field not in _JOINED)


def _select() -> sa.Select[Any]:
    return (
        sa.select(
            *(runs.c[name] for name in _COLUMNS),
            flows.c.name.label("flow_name"),
            flows.c.project,
            versions.c.version,
            versions.c.total_tasks,
        )
        .join(flows, flows.c.id == runs.c.flow_id)
        .join(versions, versions.c.id == runs.c.version_id)
    )


def _rows(tx: Transaction, query: sa.Select[Any]) -> list[RunRow]:
    return [RunRow(**row) for row in tx.connection.execute(query).mappings()]


def encode_labels(labels: Iterable[str]) -> str:
    """Return labels as they stand in the column: sorted, so that equal sets are equal text."""
    return to_json(sorted(set(labels))).decode()


def add_run(
    tx: Transaction,
    *,
    name: str,
    flow_name: str,
    project: str,
    version: FlowVersion,
    total_tasks: int,
    parameters: dict[str, Any],
    labels: Iterable[str],
    scheduled_at: datetime,
    message: str,
    version_pinned: bool = False,
    labels_from_flow: bool = True,
    schedule_key: str | None = None,
    idempotency_key: str | None = None,
) -> RunRow:
    """Insert a Scheduled run."""
    row = RunRow(
        id=new_id(),
        name=name,
        flow_id=version.flow_id,
        flow_name=flow_name,
        project=project,
        version=version.version,
        version_id=version.id,
        version_pinned=version_pinned,
        labels_from_flow=labels_from_flow,
        state="Scheduled",
        message=message,
        state_at=tx.now,
        parameters=to_json(parameters).decode(),
        labels=encode_labels(labels),
        scheduled_at=scheduled_at,
        created_at=tx.now,
        schedule_key=schedule_key,
        occurrence_at=scheduled_at if schedule_key else None,
        idempotency_key=idempotency_key,
        on_lost=version.spec.on_lost,
        total_timeout_s=version.spec.total_timeout_s,
        total_tasks=total_tasks,
    )
    values = {key: value for key, value in msgspec.structs.asdict(row).items() if key not in _JOINED}
    tx.connection.execute(sa.insert(runs).values(**values))
    _tell(tx, row, history=True)
    return row


def save(tx: Transaction, row: RunRow, *, history: bool, quiet: bool = False) -> None:
    """Write a changed run; *history*: its state changed; *quiet*: nobody needs to hear of it."""
    values = {
        key: value for key, value in msgspec.structs.asdict(row).items() if key not in _JOINED and key != "id"
    }
    tx.connection.execute(sa.update(runs).where(runs.c.id == row.id).values(**values))
    if not quiet:
        _tell(tx, row, history=history)


def _tell(tx: Transaction, row: RunRow, *, history: bool) -> None:
    if history:
        tx.connection.execute(
            sa.insert(run_states).values(
                run_id=row.id,
                at=row.state_at,
                subject=row.name,
                state=row.state,
                message=row.message,
                attempt=row.attempt,
            )
        )
    if row.state == "Scheduled" or row.lease_until is None:
        # A run that may be claimed, or an agent that has room again.
        tx.offers = True
    tx.append(RunChanged(run=row.record()), run_id=row.id, flow_id=row.flow_id)


def move_run(tx: Transaction, row: RunRow, version: FlowVersion, *, total_tasks: int) -> None:
    """Let a run that has not started use another version of its flow."""
    moved = msgspec.structs.replace(
        row,
        version=version.version,
        version_id=version.id,
        labels=encode_labels(version.spec.labels) if row.labels_from_flow else row.labels,
        on_lost=version.spec.on_lost,
        total_timeout_s=version.spec.total_timeout_s,
        total_tasks=total_tasks,
    )
    save(tx, moved, history=False)


def renew(tx: Transaction, run_id: str, lease_until: datetime | None) -> None:
    """Move the end of a lease; nobody needs to hear of it."""
    tx.connection.execute(sa.update(runs).where(runs.c.id == run_id).values(lease_until=lease_until))


def find_run(tx: Transaction, name: str, *, lock: bool = False) -> RunRow:
    """Return the run with this id, unique beginning of an id (6 digits or more), or name.

    Raises
    ------
    NotFound : none, or several.
    """
    found: list[RunRow] = []
    if _BEGINNING.fullmatch(name):
        upper = name + "g"
        query = _select().where(runs.c.id >= name, runs.c.id < upper).limit(3)
        found = _rows(tx, query)
    if not found:
        query = _select().where(runs.c.name == name).order_by(runs.c.scheduled_at.desc()).limit(6)
        found = _rows(tx, query)
    if not found:
        raise NotFound(f"there is no run {name[:100]!r}; see `jupyter flows runs`")
    if len(found) > 1:
        ids = ", ".join(row.id[:8] for row in found[:5])
        raise NotFound(f"{name[:100]!r} fits {len(found)} runs; say which one by its id: {ids}")
    return get_run(tx, found[0].id, lock=True) if lock else found[0]


def get_run(tx: Transaction, run_id: str, *, lock: bool = False) -> RunRow:
    """Return a run by its whole id; *lock*: others wait until this transaction ends."""
    query = _select().where(runs.c.id == run_id)
    if lock:
        query = query.with_for_update(of=runs)
    found = _rows(tx, query)
    if not found:
        raise NotFound(f"there is no run {run_id[:40]!r}")
    return found[0]


def keyed_run(tx: Transaction, flow_id: str, key: str) -> RunRow | None:
    """Return the run that was made with this idempotency key, or None."""
    found = _rows(tx, _select().where(runs.c.flow_id == flow_id, runs.c.idempotency_key == key))
    return found[0] if found else None


def occurrence_exists(tx: Transaction, *, key: str, at: datetime) -> bool:
    """Tell whether a schedule's occurrence has its run already."""
    query = sa.select(runs.c.id).where(runs.c.schedule_key == key, runs.c.occurrence_at == at)
    return tx.connection.execute(query).first() is not None


def list_runs(
    tx: Transaction,
    *,
    flow_id: str | None = None,
    state: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> list[RunRow]:
    """Return runs, newest due time first, before *before*."""
    query = _select().order_by(runs.c.scheduled_at.desc(), runs.c.id.desc()).limit(limit)
    if flow_id is not None:
        query = query.where(runs.c.flow_id == flow_id)
    if state is not None:
        query = query.where(runs.c.state == state)
    if before is not None:
        at, run_id = before
        query = query.where(
            sa.or_(runs.c.scheduled_at < at, sa.and_(runs.c.scheduled_at == at, runs.c.id < run_id))
        )
    return _rows(tx, query)


def last_runs(tx: Transaction, flow_id: str, *, count: int) -> list[RunRow]:
    """Return the last runs of a flow that are due, newest first."""
    query = (
        _select()
        .where(runs.c.flow_id == flow_id)
        .where(sa.or_(runs.c.state != "Scheduled", runs.c.scheduled_at <= tx.now))
        .order_by(runs.c.scheduled_at.desc(), runs.c.id.desc())
        .limit(count)
    )
    return _rows(tx, query)


def waiting_runs(tx: Transaction, flow_id: str, *, limit: int) -> list[RunRow]:
    """Return a flow's runs that have not started, the first due first."""
    query = (
        _select()
        .where(runs.c.flow_id == flow_id, runs.c.state.in_(["Scheduled", "Submitted", "Paused"]))
        .order_by(runs.c.scheduled_at, runs.c.id)
        .limit(limit)
    )
    return _rows(tx, query)


def scheduled_runs(tx: Transaction, flow_id: str, *, auto: bool | None = None) -> list[RunRow]:
    """Return a flow's Scheduled runs, locked; *auto*: only those a schedule made, or only the others."""
    query = _select().where(runs.c.flow_id == flow_id, runs.c.state == "Scheduled")
    if auto is not None:
        query = query.where(runs.c.schedule_key.is_not(None) if auto else runs.c.schedule_key.is_(None))
    return _rows(tx, query.order_by(runs.c.scheduled_at).with_for_update(of=runs))


def count_waiting(tx: Transaction, *, flow_id: str) -> int:
    """Return how many runs of a flow wait."""
    query = sa.select(sa.func.count()).select_from(runs)
    return int(
        tx.connection.execute(
            query.where(runs.c.flow_id == flow_id, runs.c.state == "Scheduled")
        ).scalar_one()
    )


def count_active(tx: Transaction, flow_id: str) -> int:
    """Return how many runs of a flow an agent holds."""
    query = sa.select(sa.func.count()).select_from(runs)
    return int(
        tx.connection.execute(query.where(runs.c.flow_id == flow_id, runs.c.state.in_(LEASED))).scalar_one()
    )


def next_scheduled_at(tx: Transaction, flow_id: str) -> datetime | None:
    """Return when a flow's next run is due, if it is not yet."""
    query = sa.select(sa.func.min(runs.c.scheduled_at)).where(
        runs.c.flow_id == flow_id, runs.c.state == "Scheduled", runs.c.scheduled_at > tx.now
    )
    found: datetime | None = tx.connection.execute(query).scalar()
    return found


def next_due_at(tx: Transaction) -> datetime | None:
    """Return when the next Scheduled run becomes due, if it is not yet."""
    query = sa.select(sa.func.min(runs.c.scheduled_at)).where(
        runs.c.state == "Scheduled", runs.c.scheduled_at > tx.now
    )
    found: datetime | None = tx.connection.execute(query).scalar()
    return found


def became_due(tx: Transaction, *, since: datetime) -> bool:
    """Tell whether a Scheduled run became due after *since*, or the clock went back."""
    if tx.now < since:
        return True
    query = sa.select(runs.c.id).where(
        runs.c.state == "Scheduled", runs.c.scheduled_at > since, runs.c.scheduled_at <= tx.now
    )
    return tx.connection.execute(query.limit(1)).first() is not None


def waiting_labels(tx: Transaction) -> list[tuple[str, tuple[str, ...]]]:
    """Return the different label sets of due runs, as stored and decoded."""
    query = sa.select(runs.c.labels).where(runs.c.state == "Scheduled", runs.c.scheduled_at <= tx.now)
    return [(text, _decode_labels(text)) for text in tx.connection.scalars(query.distinct())]


def due_runs(tx: Transaction, *, labels: Iterable[str], limit: int) -> list[RunRow]:
    """Return due runs with one of these stored *labels*, first due first, but those being claimed."""
    query = (
        _select()
        .where(
            runs.c.state == "Scheduled",
            runs.c.scheduled_at <= tx.now,
            runs.c.labels.in_(list(labels)),
        )
        .order_by(runs.c.scheduled_at, runs.c.id)
        .limit(limit)
        .with_for_update(of=runs, skip_locked=True)
    )
    return _rows(tx, query)


def claimed_with(tx: Transaction, *, agent_id: str, key: str) -> list[RunRow]:
    """Return what a claim with this key was given and has not been started or lost since."""
    query = _select().where(runs.c.agent_id == agent_id, runs.c.claim_key == key, runs.c.state == "Submitted")
    return _rows(tx, query)


def note_holder(tx: Transaction, run_id: str, *, agent_id: str, token_id: str, key: str | None) -> None:
    """Write down which agent a run was given to, under which of its requests."""
    tx.connection.execute(
        sa.update(runs)
        .where(runs.c.id == run_id)
        .values(agent_id=agent_id, holder_token_id=token_id, claim_key=key, last_seq=0)
    )


def held_by(tx: Transaction, agent_ids: Iterable[str]) -> dict[str, int]:
    """Return how many runs each agent holds."""
    query = (
        sa.select(runs.c.agent_id, sa.func.count())
        .where(runs.c.agent_id.in_(list(agent_ids)), runs.c.state.in_(LEASED))
        .group_by(runs.c.agent_id)
    )
    return {str(agent): int(count) for agent, count in tx.connection.execute(query)}


def expired(tx: Transaction, *, kill_grace: timedelta) -> list[RunRow]:
    """Return runs whose lease ended: those that would rerun only after the old holder surely stopped."""
    would_rerun = sa.and_(runs.c.state == "Running", runs.c.on_lost == "rerun")
    query = (
        _select()
        .where(
            runs.c.lease_until < tx.now,
            sa.or_(sa.not_(would_rerun), runs.c.lease_until < tx.now - kill_grace),
        )
        .order_by(runs.c.lease_until)
        .limit(100)
        .with_for_update(of=runs, skip_locked=True)
    )
    return _rows(tx, query)


def overdue(tx: Transaction) -> list[RunRow]:
    """Return runs that took longer than they may."""
    query = (
        _select()
        .where(runs.c.lease_until.is_not(None), runs.c.timeout_at < tx.now)
        .limit(100)
        .with_for_update(of=runs, skip_locked=True)
    )
    return _rows(tx, query)


def may_need_reaping(tx: Transaction) -> bool:
    """Tell whether a lease or a total timeout lies in the past."""
    past = sa.or_(runs.c.lease_until < tx.now, runs.c.timeout_at < tx.now)
    query = sa.select(runs.c.id).where(runs.c.lease_until.is_not(None), past).limit(1)
    return tx.connection.execute(query).first() is not None


def delete_run(tx: Transaction, run_id: str) -> None:
    """Delete a run that never began (its occurrence will be made again when it is wanted)."""
    tx.connection.execute(sa.delete(run_states).where(run_states.c.run_id == run_id))
    tx.connection.execute(sa.delete(run_tokens).where(run_tokens.c.run_id == run_id))
    tx.connection.execute(sa.delete(runs).where(runs.c.id == run_id))


def run_states_of(tx: Transaction, run_id: str) -> tuple[StateEvent, ...]:
    """Return a run's history, oldest first."""
    columns = [run_states.c[name] for name in ("at", "subject", "state", "message", "attempt")]
    query = sa.select(*columns).where(run_states.c.run_id == run_id).order_by(run_states.c.id)
    return tuple(StateEvent(**row) for row in tx.connection.execute(query).mappings())
