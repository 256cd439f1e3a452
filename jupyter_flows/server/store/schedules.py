"""The clocks of flows: each with the time of the next run that it has made."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from jupyter_flows.schema.base import canonical_digest, from_json, to_json
from jupyter_flows.schema.refs import ScheduleRef
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.tables import flows, schedules


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``schedules``; ``key`` is made from the flow and the schedule's content."""

    key: str
    flow_id: str
    position: int
    ref: ScheduleRef
    next_at: datetime | None = None


def schedule_key(flow_id: str, ref: ScheduleRef) -> str:
    """Return the key: the same schedule of the same flow keeps it from version to version."""
    return canonical_digest({"flow": flow_id, "ref": msgspec.to_builtins(ref)})


def replace_schedules(
    tx: Transaction, flow_id: str, refs: tuple[ScheduleRef, ...]
) -> tuple[list[ScheduleRow], set[str]]:
    """Give a flow these schedules; return the new ones, and the keys of those that went."""
    old = {row.key for row in list_schedules(tx, flow_id)}
    wanted = {schedule_key(flow_id, ref): (position, ref) for position, ref in enumerate(refs)}
    gone = old - set(wanted)
    if gone:
        tx.connection.execute(sa.delete(schedules).where(schedules.c.key.in_(gone)))
    new = []
    for key, (position, ref) in wanted.items():
        if key in old:
            tx.connection.execute(
                sa.update(schedules).where(schedules.c.key == key).values(position=position)
            )
            continue
        tx.connection.execute(
            sa.insert(schedules).values(
                key=key, flow_id=flow_id, position=position, ref=to_json(ref).decode(), next_at=None
            )
        )
        new.append(ScheduleRow(key=key, flow_id=flow_id, position=position, ref=ref))
    tx.schedules_changed = True
    return new, gone


def list_schedules(tx: Transaction, flow_id: str) -> list[ScheduleRow]:
    """Return the schedules of a flow, as they were given."""
    query = sa.select(schedules).where(schedules.c.flow_id == flow_id).order_by(schedules.c.position)
    return [_row(row) for row in tx.connection.execute(query).mappings()]


def set_next(tx: Transaction, key: str, next_at: datetime | None) -> None:
    """Say for when the next run of a schedule was made."""
    tx.connection.execute(sa.update(schedules).where(schedules.c.key == key).values(next_at=next_at))
    tx.schedules_changed = True


def due_schedules(tx: Transaction, *, limit: int) -> list[ScheduleRow]:
    """Return schedules of active flows whose next time has come."""
    query = (
        sa.select(schedules)
        .join(flows, flows.c.id == schedules.c.flow_id)
        .where(schedules.c.next_at <= tx.now, flows.c.paused.is_(False))
        .order_by(schedules.c.next_at)
        .limit(limit)
        .with_for_update(of=schedules, skip_locked=True)
    )
    return [_row(row) for row in tx.connection.execute(query).mappings()]


def next_schedule_at(tx: Transaction) -> datetime | None:
    """Return when the next schedule of an active flow fires."""
    query = (
        sa.select(sa.func.min(schedules.c.next_at))
        .join(flows, flows.c.id == schedules.c.flow_id)
        .where(flows.c.paused.is_(False))
    )
    found: datetime | None = tx.connection.execute(query).scalar()
    return found


def _row(row: sa.RowMapping) -> ScheduleRow:
    values = dict(row)
    return ScheduleRow(**{**values, "ref": from_json(values["ref"], ScheduleRef)})
