"""Lines of a run's log."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from jupyter_flows.schema.base import Count, Id, Name, Record, UtcTime, Word


class LogRecord(Record, frozen=True, kw_only=True):
    """One line, ordered by ``id`` within its run."""

    id: Count
    run_id: Id
    at: UtcTime
    level: Word
    logger: Name
    message: Annotated[str, Meta(max_length=8000)]
    task: Name | None = None
    attempt: Count = 0


class LogPage(Record, frozen=True, kw_only=True):
    """Lines after the asked id; ``next`` is the id to ask after."""

    logs: tuple[LogRecord, ...]
    next: Count
