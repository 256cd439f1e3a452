"""The tables, in one file. Times are microseconds since 1970 in UTC: exact, and alike on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

HEAD = "0002"
"""Newest migration; the database's version row is compared with it by hand at start."""
REVISIONS = ("0001", "0002")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcMicros(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn a time into a number."""
        del dialect
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Turn a number into a time."""
        del dialect
        return None if value is None else _EPOCH + int(value) * _MICROSECOND


class PlainText(TypeDecorator[str]):
    """Text without NUL, which PostgreSQL does not take and a user's log may contain."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Show a NUL as what it is: unreadable."""
        del dialect
        return value if value is None else value.replace("\x00", "\ufffd")


metadata = MetaData()
_Id = PlainText(32)
_Serial = BigInteger().with_variant(Integer, "sqlite")

alembic_version = Table("alembic_version", metadata, Column("version_num", PlainText(32), primary_key=True))

flows = Table(
    "flows",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("project", PlainText(100), nullable=False),
    Column("name", PlainText(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("paused_by_person", Boolean, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    UniqueConstraint("project", "name", name="uq_flows_project_name"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("flow_id", _Id, ForeignKey("flows.id", name="fk_versions_flow"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", PlainText(64), nullable=False),
    Column("spec", PlainText, nullable=False),
    Column("total_tasks", Integer, nullable=False),
    Column("registered_at", UtcMicros, nullable=False),
    Column("registered_by", PlainText(200), nullable=False),
    UniqueConstraint("flow_id", "version", name="uq_versions_flow_version"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("key", PlainText(64), primary_key=True),
    Column("flow_id", _Id, ForeignKey("flows.id", name="fk_schedules_flow"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("ref", PlainText, nullable=False),
    Column("next_at", UtcMicros),
    Index("ix_schedules_next_at", "next_at"),
    Index("ix_schedules_flow", "flow_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", PlainText(200), nullable=False),
    Column("flow_id", _Id, ForeignKey("flows.id", name="fk_runs_flow"), nullable=False),
    Column("version_id", _Id, ForeignKey("versions.id", name="fk_runs_version"), nullable=False),
    Column("version_pinned", Boolean, nullable=False),
    Column("labels_from_flow", Boolean, nullable=False),
    Column("state", PlainText(20), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("state_at", UtcMicros, nullable=False),
    Column("parameters", PlainText, nullable=False),
    Column("labels", PlainText, nullable=False),
    Column("scheduled_at", UtcMicros, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("started_at", UtcMicros),
    Column("ended_at", UtcMicros),
    Column("schedule_key", PlainText(64)),
    Column("occurrence_at", UtcMicros),
    Column("idempotency_key", PlainText(100)),
    Column("token", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("attempt_started", Boolean, nullable=False),
    Column("agent", PlainText(200)),
    Column("agent_id", _Id),
    Column("holder_token_id", _Id),
    Column("claim_key", PlainText(100)),
    Column("claimed_at", UtcMicros),
    Column("lease_until", UtcMicros),
    Column("timeout_at", UtcMicros),
    Column("lost", Boolean, nullable=False),
    Column("lost_at", UtcMicros),
    Column("on_lost", PlainText(10), nullable=False),
    Column("total_timeout_s", Float),
    Column("last_seq", BigInteger, nullable=False),
    Column("result", PlainText),
    Column("done_tasks", Integer, nullable=False),
    UniqueConstraint("schedule_key", "occurrence_at", name="uq_runs_occurrence"),
    UniqueConstraint("flow_id", "idempotency_key", name="uq_runs_idempotency"),
    Index("ix_runs_due", "state", "labels", "scheduled_at"),
    Index("ix_runs_state_scheduled", "state", "scheduled_at"),
    Index("ix_runs_flow", "flow_id", "scheduled_at", "id"),
    Index("ix_runs_newest", "scheduled_at", "id"),
    Index("ix_runs_name", "name"),
    Index("ix_runs_lease", "lease_until"),
    Index("ix_runs_agent", "agent_id", "state"),
)

run_tokens = Table(
    "run_tokens",
    metadata,
    Column("hash", PlainText(64), primary_key=True),
    Column("run_id", _Id, ForeignKey("runs.id", name="fk_run_tokens_run"), nullable=False),
    Column("token", Integer, nullable=False),
    Index("ix_run_tokens_run", "run_id"),
)

task_runs = Table(
    "task_runs",
    metadata,
    Column("run_id", _Id, ForeignKey("runs.id", name="fk_task_runs_run"), primary_key=True),
    Column("slug", PlainText(200), primary_key=True),
    Column("map_index", Integer, primary_key=True),
    Column("name", PlainText(200), nullable=False),
    Column("state", PlainText(20), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("state_at", UtcMicros, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", UtcMicros),
    Column("ended_at", UtcMicros),
    Column("place", Integer, nullable=False),
    Column("progress", PlainText),
)

run_states = Table(
    "run_states",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("run_id", _Id, ForeignKey("runs.id", name="fk_run_states_run"), nullable=False),
    Column("at", UtcMicros, nullable=False),
    Column("subject", PlainText(200), nullable=False),
    Column("state", PlainText(20), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Index("ix_run_states_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

logs = Table(
    "logs",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("run_id", _Id, ForeignKey("runs.id", name="fk_logs_run"), nullable=False),
    Column("at", UtcMicros, nullable=False),
    Column("level", PlainText(100), nullable=False),
    Column("logger", PlainText(200), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("task", PlainText(200)),
    Column("attempt", Integer, nullable=False),
    Index("ix_logs_run", "run_id", "id"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("at", UtcMicros, nullable=False),
    Column("run_id", _Id),
    Column("flow_id", _Id),
    Column("body", PlainText, nullable=False),
    Index("ix_events_run", "run_id", "id"),
    Index("ix_events_flow", "flow_id", "id"),
    Index("ix_events_at", "at"),
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", PlainText(200), nullable=False),
    Column("labels", PlainText, nullable=False),
    Column("kind", PlainText(100), nullable=False),
    Column("host", PlainText(200), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("version", PlainText(100), nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("max_runs", Integer, nullable=False),
    Column("kernels", PlainText, nullable=False),
    Column("python", PlainText(100), nullable=False),
    Column("token_id", _Id, nullable=False),
    Column("started_at", UtcMicros, nullable=False),
    Column("last_seen_at", UtcMicros, nullable=False),
    Column("present", Boolean, nullable=False),
    UniqueConstraint("name", name="uq_agents_name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("hash", PlainText(64), nullable=False),
    Column("kind", PlainText(20), nullable=False),
    Column("name", PlainText(200), nullable=False),
    Column("labels", PlainText, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("expires_at", UtcMicros),
    Column("last_used_at", UtcMicros),
    Column("revoked_at", UtcMicros),
    UniqueConstraint("hash", name="uq_tokens_hash"),
)
