"""Task runs: the newest state of each task of a run, and their part of the run's history."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from jupyter_flows.schema.base import to_json
from jupyter_flows.schema.events import TaskRunChanged
from jupyter_flows.schema.runs import ProgressItem, StateRecord, TaskProgress, TaskRunRecord, TaskStateItem
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.runs import RunRow
from jupyter_flows.server.store.tables import run_states, task_runs

DONE = (
    "Success",
    "Cached",
    "Mapped",
    "Looped",
    "Skipped",
    "Failed",
    "TimedOut",
    "TriggerFailed",
    "Cancelled",
)
LOST = "its run was given up while it ran"


def list_task_runs(tx: Transaction, run_id: str) -> tuple[TaskRunRecord, ...]:
    """Return the tasks of a run in the order in which they were first heard of."""
    query = sa.select(task_runs).where(task_runs.c.run_id == run_id)
    query = query.order_by(task_runs.c.place, task_runs.c.map_index)
    return tuple(_record(row) for row in tx.connection.execute(query).mappings())


def put_task_state(tx: Transaction, run: RunRow, item: TaskStateItem) -> None:
    """Write a task's new state, its history and an event."""
    key = (
        task_runs.c.run_id == run.id,
        task_runs.c.slug == item.slug,
        task_runs.c.map_index == item.map_index,
    )
    old = tx.connection.execute(sa.select(task_runs).where(*key)).first()
    started_at = old.started_at if old is not None else None
    if item.state.type == "Running" and (old is None or item.attempt != old.attempt or started_at is None):
        started_at = item.state.at
    record = TaskRunRecord(
        run_id=run.id,
        slug=item.slug,
        name=item.name,
        map_index=item.map_index,
        state=item.state,
        attempt=item.attempt,
        started_at=started_at,
        ended_at=item.state.at if item.state.type in DONE else None,
    )
    values = {
        "name": record.name,
        "state": record.state.type,
        "message": record.state.message,
        "state_at": record.state.at,
        "attempt": record.attempt,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "progress": None,
    }
    if old is None:
        count = sa.select(sa.func.count()).select_from(task_runs).where(task_runs.c.run_id == run.id)
        place = tx.connection.execute(count).scalar_one()
        tx.connection.execute(
            sa.insert(task_runs).values(
                run_id=run.id, slug=item.slug, map_index=item.map_index, place=place, **values
            )
        )
    else:
        tx.connection.execute(sa.update(task_runs).where(*key).values(**values))
    _tell(tx, run, record)


def put_progress(tx: Transaction, run: RunRow, item: ProgressItem) -> None:
    """Write how far a running task is, and an event; what comes after its end is late."""
    key = (
        task_runs.c.run_id == run.id,
        task_runs.c.slug == item.slug,
        task_runs.c.map_index == item.map_index,
        task_runs.c.state == "Running",
        task_runs.c.attempt == item.attempt,
    )
    values = {"progress": to_json(item.progress).decode()}
    if tx.connection.execute(sa.update(task_runs).where(*key).values(**values)).rowcount:
        row = tx.connection.execute(sa.select(task_runs).where(*key)).mappings().one()
        event = TaskRunChanged(task_run=_record(row), flow_id=run.flow_id)
        tx.append(event, run_id=run.id, flow_id=run.flow_id)


def _tell(tx: Transaction, run: RunRow, record: TaskRunRecord) -> None:
    subject = record.slug if record.map_index < 0 else f"{record.slug[:180]}[{record.map_index}]"
    tx.connection.execute(
        sa.insert(run_states).values(
            run_id=run.id,
            at=record.state.at,
            subject=subject,
            state=record.state.type,
            message=record.state.message,
            attempt=record.attempt,
        )
    )
    tx.append(TaskRunChanged(task_run=record, flow_id=run.flow_id), run_id=run.id, flow_id=run.flow_id)


def clear(tx: Transaction, run_id: str) -> None:
    """Forget the tasks of an earlier attempt; their history stays."""
    tx.connection.execute(sa.delete(task_runs).where(task_runs.c.run_id == run_id))


def finished_names(tx: Transaction, run_id: str) -> tuple[str, ...]:
    """Return the names of tasks that succeeded, in order."""
    query = (
        sa.select(task_runs.c.name)
        .where(task_runs.c.run_id == run_id, task_runs.c.map_index == -1, task_runs.c.state == "Success")
        .order_by(task_runs.c.place)
    )
    return tuple(tx.connection.scalars(query))


def count_done(tx: Transaction, run_id: str, visible: frozenset[str]) -> int:
    """Return how many of the *visible* tasks have ended."""
    query = sa.select(task_runs.c.slug).where(
        task_runs.c.run_id == run_id, task_runs.c.map_index == -1, task_runs.c.state.in_(DONE)
    )
    return sum(slug in visible for slug in tx.connection.scalars(query))


def close_unfinished(tx: Transaction, run: RunRow) -> None:
    """End what a run that ended left open: Cancelled with a cancelled run, else Failed if it was running."""
    query = sa.select(task_runs).where(task_runs.c.run_id == run.id, task_runs.c.state.not_in(DONE))
    for row in tx.connection.execute(query).mappings().all():
        record = _record(row)
        if run.state == "Cancelled":
            state = StateRecord(type="Cancelled", message="its run was cancelled", at=tx.now)
        elif record.state.type in {"Running", "Retrying"}:
            message = LOST if run.lost else "its run ended first"
            state = StateRecord(type="Failed", message=message, at=tx.now)
        else:
            continue
        _overwrite(tx, run, record, state)


def reopen_lost(tx: Transaction, run: RunRow) -> None:
    """Undo what losing the run had closed: its holder came back."""
    query = sa.select(task_runs).where(
        task_runs.c.run_id == run.id, task_runs.c.state == "Failed", task_runs.c.message == LOST
    )
    for row in tx.connection.execute(query).mappings().all():
        _overwrite(tx, run, _record(row), StateRecord(type="Running", message="", at=tx.now))


def _overwrite(tx: Transaction, run: RunRow, record: TaskRunRecord, state: StateRecord) -> None:
    ended_at = state.at if state.type in DONE else None
    new = msgspec.structs.replace(record, state=state, ended_at=ended_at, progress=None)
    tx.connection.execute(
        sa.update(task_runs)
        .where(
            task_runs.c.run_id == run.id,
            task_runs.c.slug == record.slug,
            task_runs.c.map_index == record.map_index,
        )
        .values(state=state.type, message=state.message, state_at=state.at, ended_at=ended_at, progress=None)
    )
    _tell(tx, run, new)


def _record(row: sa.RowMapping) -> TaskRunRecord:
    values = dict(row)
    state = StateRecord(type=values.pop("state"), message=values.pop("message"), at=values.pop("state_at"))
    del values["place"]
    told = values.pop("progress")
    progress = None if told is None else msgspec.json.decode(told, type=TaskProgress)
    return TaskRunRecord(state=state, progress=progress, **values)
