"""What ended on shelves, cancellation of what runs, expiry, and where tasks come from."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from app.infra.postgres.grants import grant_alike

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Written as "worker"; env.py has it translated to the configured schema.
SCHEMA = "worker"
MOMENT = sa.DateTime(timezone=True)
FUNCTIONS = ("cancel", "retry")
# What an operator's verb says itself. All else that both tables have at this revision goes along, in either direction:
# a migration that adds a column to both has to make cancel and retry anew.
OWN = ("status", "attempts", "max_attempts", "scheduled_at", "worker_id", "error", "expires_at")


def upgrade() -> None:
    schema = op.get_context().opts["version_table_schema"]
    for table in ("tasks", "finished"):
        op.add_column(table, sa.Column("expires_at", MOMENT), schema=SCHEMA)
        op.add_column(table, sa.Column("origin", sa.JSON), schema=SCHEMA)
        op.add_column(table, sa.Column("requeues", sa.SmallInteger), schema=SCHEMA)
    op.add_column("tasks", sa.Column("cancel_requested_at", MOMENT), schema=SCHEMA)
    op.add_column("finished", sa.Column("reason", sa.Text), schema=SCHEMA)
    op.add_column("finished", sa.Column("letter_queue", sa.Text), schema=SCHEMA)
    for table in ("finished", "tallies"):
        shelf = sa.Column("shelf", sa.SmallInteger, nullable=False, server_default=sa.text("0"))
        op.add_column(table, shelf, schema=SCHEMA)
    for name, column in (("tasks_expiring", "expires_at"), ("tasks_cancelling", "cancel_requested_at")):
        op.create_index(name, "tasks", [column], schema=SCHEMA, postgresql_where=sa.text(f"{column} IS NOT NULL"))

    op.create_table(
        "upkeep",
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("succeeded_at", MOMENT),
        sa.Column("error", sa.Text),
        schema=SCHEMA,
        postgresql_with={"fillfactor": "50"},
    )

    # What was all of it becomes one of the shelves, as it is.
    op.execute(f'ALTER TABLE "{schema}".finished RENAME TO finished_days')
    op.execute(f'ALTER INDEX "{schema}".finished_id RENAME TO finished_days_id')
    op.execute(
        f'CREATE TABLE "{schema}".finished (LIKE "{schema}".finished_days INCLUDING DEFAULTS INCLUDING CONSTRAINTS)'
        " PARTITION BY LIST (shelf)"
    )
    op.create_index("finished_id", "finished", ["id"], schema=SCHEMA)
    op.execute(f'ALTER TABLE "{schema}".finished ATTACH PARTITION "{schema}".finished_days FOR VALUES IN (0)')
    # Rows leave these one by one, all the time, and the room that they leave is for the next ones.
    for name, shelf in (("finished_kept", 1), ("finished_dead", 2)):
        op.execute(
            f'CREATE TABLE "{schema}".{name} PARTITION OF "{schema}".finished FOR VALUES IN ({shelf})'
            " WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)"
        )
    # For these shelves alone: nothing that is indexed here is paid for by what completes.
    op.execute(f'CREATE INDEX finished_kept_at ON "{schema}".finished_kept (finished_at)')
    op.execute(f'CREATE INDEX finished_dead_at ON "{schema}".finished_dead (finished_at, id)')
    op.execute(f'CREATE INDEX finished_dead_type ON "{schema}".finished_dead (type, finished_at, id)')
    grant_alike(op.get_bind(), schema, "finished_days", "finished", "finished_kept", "finished_dead")
    grant_alike(op.get_bind(), schema, "tasks", "upkeep")
    _make_functions("0003_shelves", schema)


def downgrade() -> None:
    schema = op.get_context().opts["version_table_schema"]
    # Tasks are not lost by going back: what the older version would not find goes to where it looks.
    op.execute(f'UPDATE "{schema}".finished SET shelf = 0 WHERE shelf <> 0')  # noqa: S608  # a checked name
    op.execute(f'ALTER TABLE "{schema}".finished DETACH PARTITION "{schema}".finished_days')
    grant_alike(op.get_bind(), schema, "finished", "finished_days")
    op.drop_table("finished", schema=SCHEMA)
    op.execute(f'ALTER TABLE "{schema}".finished_days RENAME TO finished')
    op.execute(f'ALTER INDEX "{schema}".finished_days_id RENAME TO finished_id')
    for name in ("tasks_expiring", "tasks_cancelling"):
        op.drop_index(name, "tasks", schema=SCHEMA)
    for name in ("expires_at", "origin", "requeues"):
        op.drop_column("tasks", name, schema=SCHEMA)
    for name in ("expires_at", "origin", "requeues", "reason", "letter_queue", "shelf"):
        op.drop_column("finished", name, schema=SCHEMA)
    op.drop_column("tasks", "cancel_requested_at", schema=SCHEMA)
    op.drop_table("upkeep", schema=SCHEMA)
    op.drop_column("tallies", "shelf", schema=SCHEMA)
    _make_functions("0002_plain_sql", schema)


def _make_functions(version: str, schema: str) -> None:
    """cancel and retry, as the file of *version* has them; whoever might call them still may."""
    connection = op.get_bind().execution_options(no_parameters=True)
    allowed = _allowed(schema)
    for name in FUNCTIONS:
        op.execute(f'DROP FUNCTION "{schema}".{name}')
    text = (Path(__file__).parent / version / "operate.sql").read_text(encoding="ascii")
    if version == "0002_plain_sql":  # of which the first two functions have stayed
        text = text[text.index('CREATE FUNCTION "{schema}".cancel(') :]
    own = OWN if version == "0003_shelves" else OWN[:5]
    kept = [f'"{name}"' for name in _columns("tasks") if name in _columns("finished") and name not in own]
    text = text.replace("{schema}", schema).replace("{kept}", ", ".join(kept))
    text = text.replace("{gone.kept}", ", ".join(f"gone.{name}" for name in kept))
    # Without parameters it may hold several statements, and a percent sign is one.
    connection.exec_driver_sql(text)
    for name in FUNCTIONS:
        # Functions are everybody's when they are made.
        op.execute(f'REVOKE ALL ON FUNCTION "{schema}".{name} FROM PUBLIC')
        for role in allowed.get(name, ()):
            connection.exec_driver_sql(f'GRANT EXECUTE ON FUNCTION "{schema}".{name} TO "{role}"')


def _allowed(schema: str) -> dict[str, list[str]]:
    """The roles, beside the owner, that may call each of the functions."""
    asked = sa.text(
        "SELECT proname, grantee.rolname FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace,"
        " aclexplode(proacl) AS granted JOIN pg_roles AS grantee ON grantee.oid = granted.grantee"
        " WHERE nspname = :schema AND proname = ANY(:names) AND granted.grantee <> proowner"
    )
    allowed: dict[str, list[str]] = {}
    for name, role in op.get_bind().execute(asked, {"schema": schema, "names": list(FUNCTIONS)}):
        allowed.setdefault(name, []).append(role.replace('"', '""'))
    return allowed


def _columns(table: str) -> list[str]:
    schema = op.get_context().opts["version_table_schema"]
    return [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table, schema)]
