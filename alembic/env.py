"""Runs migrations in one transaction, one migrator at a time, on our schema alone."""

from collections.abc import Callable
from typing import Any

from alembic import context
from alembic.ddl.base import AlterTable
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.schema import CreateSchema

from app.infra.postgres.migrations import lock_name, options_for
from app.infra.postgres.tables import SCHEMA, metadata

# Locks are waited for this long, so that a migration which cannot have a table does not block everyone behind it.
LOCK_TIMEOUT = "10s"
# Another migrator may be at work for longer.
MIGRATOR_TIMEOUT = "10min"


def migrate(connection: Connection, schema: str) -> None:
    connection = connection.execution_options(schema_translate_map={SCHEMA: schema})
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=False,
        **options_for(schema),
    )
    event.listen(connection, "before_execute", _in(schema), retval=True)
    with connection.begin():
        # Everything is local to the transaction, advisory lock included: it works through a transaction pooler.
        connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATOR_TIMEOUT}'"))
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock_name(schema), 0))))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        # Not "IF NOT EXISTS" alone: that asks for the right to create even when there is nothing to create.
        if not connection.dialect.has_schema(connection, schema):
            connection.execute(CreateSchema(schema))
        with context.begin_transaction():
            context.run_migrations()


def _in(schema: str) -> Callable[..., Any]:
    """Alembic's own ALTER TABLE constructs know no schema_translate_map, and would change another queue's tables."""

    def translate(connection: Connection, element: Any, *parameters: Any) -> Any:
        if isinstance(element, AlterTable) and element.schema == SCHEMA:
            element.schema = schema
        return element, *parameters[:2]

    return translate


if "connection" in context.config.attributes:
    migrate(context.config.attributes["connection"], context.config.attributes["schema"])
else:
    # Called as `alembic …` by a developer, for example by `make migration`.
    from app.container import TaskQueueContainer

    tasks = TaskQueueContainer()
    with tasks.sync_engine().connect() as own_connection:
        migrate(own_connection, tasks.settings().worker_schema)
    tasks.close()
