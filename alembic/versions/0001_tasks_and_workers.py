"""Tasks and workers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Written as "worker"; env.py has it translated to the configured schema.
SCHEMA = "worker"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("lease_seq", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("scheduled_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("timeout", sa.Double),
        sa.Column("worker_id", sa.Text),
        sa.Column("correlation_id", sa.Text),
        sa.Column("tags", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("errors", postgresql.JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("progress", sa.Double),
        sa.Column("progress_message", sa.Text),
        sa.CheckConstraint(
            "status IN ('blocked', 'pending', 'running', 'completed', 'failed', 'cancelled')", name="tasks_status"
        ),
        schema=SCHEMA,
    )
    pending = sa.text("status = 'pending'")
    op.create_index(
        "tasks_ready",
        "tasks",
        [sa.text("priority DESC"), "scheduled_at", "id"],
        schema=SCHEMA,
        postgresql_where=pending,
    )
    op.create_index("tasks_due", "tasks", ["scheduled_at"], schema=SCHEMA, postgresql_where=pending)
    op.create_index(
        "tasks_running", "tasks", ["worker_id"], schema=SCHEMA, postgresql_where=sa.text("status = 'running'")
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("lease", sa.Double, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("queues", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("hears_notifications", sa.Boolean),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("workers", schema=SCHEMA)
    op.drop_table("tasks", schema=SCHEMA)
