"""Lines of runs' logs."""

from __future__ import annotations

import sqlalchemy as sa

from jupyter_flows.schema.events import LogsWritten
from jupyter_flows.schema.logs import LogRecord
from jupyter_flows.schema.runs import LogItem
from jupyter_flows.server.store.database import Transaction
from jupyter_flows.server.store.runs import RunRow
from jupyter_flows.server.store.tables import logs


def add_logs(tx: Transaction, run: RunRow, items: list[LogItem]) -> None:
    """Append lines to a run's log, and an event that carries them."""
    if not items:
        return
    values = [
        {
            "run_id": run.id,
            "at": item.at,
            "level": item.level,
            "logger": item.logger,
            "message": item.message,
            "task": item.task,
            "attempt": run.attempt,
        }
        for item in items
    ]
    query = sa.insert(logs).returning(logs.c.id, sort_by_parameter_order=True)
    ids = list(tx.connection.execute(query, values).scalars())
    records = tuple(
        LogRecord(
            id=line,
            run_id=run.id,
            at=item.at,
            level=item.level,
            logger=item.logger,
            message=item.message,
            task=item.task,
            attempt=run.attempt,
        )
        for line, item in zip(ids, items, strict=True)
    )
    # Events of a hundred lines: a reader of the stream is never handed megabytes at once.
    for begin in range(0, len(records), 100):
        tx.append(
            LogsWritten(run_id=run.id, flow_id=run.flow_id, logs=records[begin : begin + 100]),
            run_id=run.id,
            flow_id=run.flow_id,
        )


def list_logs(tx: Transaction, run_id: str, *, after: int, limit: int) -> tuple[LogRecord, ...]:
    """Return lines later than *after*, in order."""
    query = sa.select(logs).where(logs.c.run_id == run_id, logs.c.id > after)
    rows = tx.connection.execute(query.order_by(logs.c.id).limit(limit)).mappings()
    return tuple(LogRecord(**row) for row in rows)
