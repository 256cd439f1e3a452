"""The event stream: read in order of growing ids, and trimmed at its old end."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.tables import events


class RawEvent(msgspec.Struct, frozen=True):
    """An event whose body stays the JSON that was stored."""

    id: int
    at: datetime
    body: msgspec.Raw


def last_id(tx: Transaction) -> int:
    """Return the id of the newest event, 0 before the first."""
    return int(tx.connection.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0)


def read_events(
    tx: Transaction, *, after: int, run_id: str | None, flow_id: str | None, limit: int
) -> list[RawEvent]:
    """Return events later than *after*, of one run or flow if asked."""
    query = sa.select(events.c.id, events.c.at, events.c.body).where(events.c.id > after)
    if run_id is not None:
        query = query.where(events.c.run_id == run_id)
    if flow_id is not None:
        query = query.where(events.c.flow_id == flow_id)
    rows = tx.connection.execute(query.order_by(events.c.id).limit(limit))
    return [RawEvent(row.id, row.at, msgspec.Raw(row.body.encode())) for row in rows]


def trim(tx: Transaction, *, before: datetime) -> int:
    """Delete events older than *before*; return how many."""
    return int(tx.connection.execute(sa.delete(events).where(events.c.at < before)).rowcount)
