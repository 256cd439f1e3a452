"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "agents",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("max_runs", sa.Integer(), nullable=False),
        sa.Column("kernels", sa.String(), nullable=False),
        sa.Column("python", sa.String(100), nullable=False),
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_agents_name"),
    )
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(32)),
        sa.Column("flow_id", sa.String(32)),
        sa.Column("body", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_flow", "events", ["flow_id", "id"])
    op.create_index("ix_events_run", "events", ["run_id", "id"])
    op.create_table(
        "flows",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_by_person", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "name", name="uq_flows_project_name"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_table(
        "schedules",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("flow_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_schedules_flow"),
    )
    op.create_index("ix_schedules_flow", "schedules", ["flow_id"])
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"])
    op.create_table(
        "versions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("flow_id", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("total_tasks", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("registered_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_versions_flow"),
        sa.UniqueConstraint("flow_id", "version", name="uq_versions_flow_version"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("flow_id", sa.String(32), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("version_pinned", sa.Boolean(), nullable=False),
        sa.Column("labels_from_flow", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False),
        sa.Column("labels", sa.String(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("schedule_key", sa.String(64)),
        sa.Column("occurrence_at", sa.BigInteger()),
        sa.Column("idempotency_key", sa.String(100)),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempt_started", sa.Boolean(), nullable=False),
        sa.Column("agent", sa.String(200)),
        sa.Column("agent_id", sa.String(32)),
        sa.Column("holder_token_id", sa.String(32)),
        sa.Column("claim_key", sa.String(100)),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("timeout_at", sa.BigInteger()),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.Column("lost_at", sa.BigInteger()),
        sa.Column("on_lost", sa.String(10), nullable=False),
        sa.Column("total_timeout_s", sa.Float()),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.String()),
        sa.Column("done_tasks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_runs_flow"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_runs_version"),
        sa.UniqueConstraint("flow_id", "idempotency_key", name="uq_runs_idempotency"),
        sa.UniqueConstraint("schedule_key", "occurrence_at", name="uq_runs_occurrence"),
    )
    op.create_index("ix_runs_agent", "runs", ["agent_id", "state"])
    op.create_index("ix_runs_due", "runs", ["state", "labels", "scheduled_at"])
    op.create_index("ix_runs_flow", "runs", ["flow_id", "scheduled_at", "id"])
    op.create_index("ix_runs_lease", "runs", ["lease_until"])
    op.create_index("ix_runs_name", "runs", ["name"])
    op.create_index("ix_runs_newest", "runs", ["scheduled_at", "id"])
    op.create_index("ix_runs_state_scheduled", "runs", ["state", "scheduled_at"])
    op.create_table(
        "logs",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True
        ),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(100), nullable=False),
        sa.Column("logger", sa.String(200), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("task", sa.String(200)),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_logs_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_logs_run", "logs", ["run_id", "id"])
    op.create_table(
        "run_states",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True
        ),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_states_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_states_run", "run_states", ["run_id", "id"])
    op.create_table(
        "run_tokens",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_tokens_run"),
    )
    op.create_index("ix_run_tokens_run", "run_tokens", ["run_id"])
    op.create_table(
        "task_runs",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("slug", sa.String(200), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "slug", "map_index"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_task_runs_run"),
    )
