"""Tasks, what becomes of them, and workers."""

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


def task_columns() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, nullable=False),
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
        sa.Column("timeout", sa.Double),
        sa.Column("worker_id", sa.Text),
        sa.Column("correlation_id", sa.Text),
        sa.Column("tags", sa.JSON),
        sa.Column("version", sa.SmallInteger()),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("errors", postgresql.JSONB),
        sa.Column("progress", sa.Double),
        sa.Column("progress_message", sa.Text),
        sa.Column("checkpoint", sa.JSON),
    ]


def upgrade() -> None:
    op.create_table(
        "tasks",
        *task_columns(),
        sa.Column("ready", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="tasks_pkey"),
        sa.CheckConstraint("status IN ('blocked', 'pending', 'running')", name="tasks_status"),
        schema=SCHEMA,
        postgresql_with={
            "fillfactor": "50",
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "5000",
            "autovacuum_vacuum_cost_delay": "0",
            "autovacuum_analyze_scale_factor": "0.2",
        },
    )
    op.create_index(
        "tasks_ready",
        "tasks",
        ["queue", sa.text("(~priority)"), "scheduled_at", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("ready"),
    )
    op.create_index("tasks_waiting", "tasks", ["scheduled_at"], schema=SCHEMA, postgresql_where=sa.text("NOT ready"))
    op.create_table(
        "finished",
        *task_columns(),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("result", sa.JSON),
        sa.CheckConstraint("status IN ('completed', 'failed', 'cancelled')", name="finished_status"),
        schema=SCHEMA,
        postgresql_partition_by="RANGE (finished_at)",
    )
    op.create_index("finished_id", "finished", ["id"], schema=SCHEMA)
    op.create_table(
        "tallies",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("bucket", sa.SmallInteger),
        sa.Column("number", sa.BigInteger, nullable=False),
        schema=SCHEMA,
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "1000",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("lease", sa.Double, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("versions", sa.ARRAY(sa.Integer), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("queues", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("hears_notifications", sa.Boolean),
        schema=SCHEMA,
    )
    op.create_table(
        "uniques",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("while_status", sa.ARRAY(sa.Text), nullable=False),
        sa.PrimaryKeyConstraint("key", name="uniques_pkey"),
        schema=SCHEMA,
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    # Takes what no other part does, so that nothing can fail to end for want of one.
    schema = op.get_context().opts["version_table_schema"]
    op.execute(f'CREATE TABLE "{schema}".finished_rest PARTITION OF "{schema}".finished DEFAULT')


def downgrade() -> None:
    for table in ("uniques", "workers", "tallies", "finished", "tasks"):
        op.drop_table(table, schema=SCHEMA)
