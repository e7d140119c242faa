"""A record of what was done about dead letters, and by whom."""

import sqlalchemy as sa
from alembic import op

from app.infra.postgres.grants import grant_alike

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written as "worker"; env.py has it translated to the configured schema.
SCHEMA = "worker"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "dead_letter_actions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("filter", sa.JSON, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.Uuid),
        sa.Column("ended_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="dead_letter_actions_pkey"),
        schema=SCHEMA,
    )
    grant_alike(op.get_bind(), op.get_context().opts["version_table_schema"], "tasks", "dead_letter_actions")


def downgrade() -> None:
    op.drop_table("dead_letter_actions", schema=SCHEMA)
