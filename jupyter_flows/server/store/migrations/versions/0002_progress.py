"""How far a task is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the newest progress of each task run."""
    op.add_column("task_runs", sa.Column("progress", sa.String()))
