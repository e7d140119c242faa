"""Functions with which tasks are enqueued, cancelled and retried in plain SQL."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# In the order in which they call each other.
FILES = ("rules", "payload", "enqueue", "enqueue_many", "operate")
FUNCTIONS = (
    "enqueue",
    "enqueue_many",
    "cancel",
    "retry",
    "_add",
    "_read_new",
    "_moment_of",
    "_seconds_of",
    "_whole_of",
    "_tags_of",
    "_text_of",
    "_check_new",
    "_check_payload",
    "_has_wrong_numbers",
    "_depth",
    "_unstorable",
    "_defused",
    "_check_seconds",
    "_check_whole",
    "_check_name",
    "_refuse",
    "_refuse_transition",
    "_as_json",
    "_new_ids",
    "max_payload",
    "default_max_attempts",
)
# What an operator's verb says itself. All else that both tables have at this revision goes along, in either direction:
# a migration that adds a column to both has to make cancel and retry anew.
OWN = ("status", "attempts", "max_attempts", "scheduled_at", "worker_id")


def upgrade() -> None:
    schema = op.get_context().opts["version_table_schema"]
    connection = op.get_bind().execution_options(no_parameters=True)
    kept = _kept(connection, schema)
    for name in FILES:
        text = (Path(__file__).with_suffix("") / f"{name}.sql").read_text(encoding="ascii")
        text = text.replace("{schema}", schema)
        text = text.replace("{kept}", ", ".join(kept)).replace(
            "{gone.kept}", ", ".join(f"gone.{name}" for name in kept)
        )
        # Without parameters it may hold several statements, and a percent sign is one.
        connection.exec_driver_sql(text)
    # Functions are everybody's when they are made.
    for name in FUNCTIONS:
        op.execute(f'REVOKE ALL ON FUNCTION "{schema}".{name} FROM PUBLIC')


def downgrade() -> None:
    schema = op.get_context().opts["version_table_schema"]
    for name in FUNCTIONS:
        op.execute(f'DROP FUNCTION "{schema}".{name}')


def _kept(connection: sa.Connection, schema: str) -> list[str]:
    """The columns that a task takes along when it ends and when it comes back."""
    tables = sa.inspect(connection)
    here, there = ([column["name"] for column in tables.get_columns(name, schema)] for name in ("tasks", "finished"))
    return [f'"{name}"' for name in here if name in there and name not in OWN]
