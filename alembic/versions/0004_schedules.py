"""Schedules, and what became of their ticks."""

import sqlalchemy as sa
from alembic import op

from app.infra.postgres.grants import grant_alike

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written as "worker"; env.py has it translated to the configured schema.
SCHEMA = "worker"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("application", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("cron", sa.Text),
        sa.Column("every", sa.Double),
        sa.Column("at", MOMENT),
        sa.Column("anchor", MOMENT),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("dst", sa.Text, nullable=False),
        sa.Column("misfire", sa.JSON, nullable=False),
        sa.Column("overlap", sa.Text, nullable=False),
        sa.Column("jitter", sa.Double, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("paused_at", MOMENT),
        sa.Column("retired_at", MOMENT),
        sa.Column("next_tick", MOMENT),
        sa.Column("look_at", MOMENT),
        sa.Column("looked_at", MOMENT, nullable=False),
        sa.Column("through", MOMENT, nullable=False),
        sa.Column("trimmed_to", MOMENT),
        sa.Column("last_tick", MOMENT),
        sa.Column("last_fired_at", MOMENT),
        sa.Column("last_task_id", sa.Uuid),
        sa.Column("repairs", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("application", "key", name="schedules_pkey"),
        schema=SCHEMA,
        postgresql_with={
            "fillfactor": "50",
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "500",
        },
    )
    op.create_index(
        "schedules_look",
        "schedules",
        ["application", "look_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.create_table(
        "ticks",
        sa.Column("application", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("tick", MOMENT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("fired_at", MOMENT, nullable=False),
        sa.Column("task_id", sa.Uuid),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("application", "schedule", "tick", name="ticks_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "ticks_waiting",
        "ticks",
        ["application", "schedule", "tick"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    grant_alike(op.get_bind(), op.get_context().opts["version_table_schema"], "tasks", "schedules", "ticks")


def downgrade() -> None:
    for table in ("ticks", "schedules"):
        op.drop_table(table, schema=SCHEMA)
