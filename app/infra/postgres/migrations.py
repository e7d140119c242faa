"""Migrations: bring a database to the schema this version needs, and refuse to work on another one."""

import logging
import threading
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, inspect, select

from app.domain.errors import DatabaseUnavailable, SchemaMismatch
from app.domain.upkeep import DAYS_AHEAD
from app.infra.postgres.failures import is_lock_timeout, translated
from app.infra.postgres.grants import OPERATOR, PRODUCER, grant
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import SCHEMA
from app.infra.postgres.upkeep import PostgresUpkeep
from app.infra.postgres.workers import PostgresWorkers

_log = logging.getLogger("app.infra.postgres")

VERSION_TABLE = "schema_version"

OLD_WORKERS_STOP_AT = "0003"
"""With this revision, workers of a version that knows an earlier one only must not go on."""

_PACKAGE = Path(__file__).parents[2]

# Alembic keeps the migration that runs in module globals, so two threads would run each other's.
_one_at_a_time = threading.Lock()


def _scripts() -> Path:
    """Alembic's folder: inside the installed package, or at the top of a checkout."""
    installed = _PACKAGE / "alembic"
    return installed if installed.is_dir() else _PACKAGE.parent / "alembic"


class Migrations:
    """The migrations of one database and schema, by Alembic, with a version table in that schema."""

    def __init__(self, engine: Engine, schema: str = SCHEMA) -> None:
        # Whatever the application's engine is set to: whoever waited for another migrator must see what that one did.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._schema = schema

    def upgrade(self) -> str:
        """Bring the schema to the revision this version needs, and return that; does nothing when it is there.

        Two may call it at once: the second waits for the first. Raises DatabaseUnavailable, which here also means that
        a lock on a table was not to be had within ten seconds (somebody's long transaction): try again then; and
        SchemaMismatch when the schema belongs to a newer version.
        """
        config = Config()
        config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
        if (before := self.current()) is not None:
            self._refuse_newer(before)
        try:
            with _one_at_a_time, self._engine.connect() as connection:
                config.attributes.update(connection=connection, schema=self._schema)
                command.upgrade(config, "head")
        except Exception as error:
            if is_lock_timeout(error):
                reason = "somebody's transaction holds on to what must be changed, try again when it has ended"
                raise DatabaseUnavailable(reason) from error
            if (ours := translated(error)) is not None:
                raise ours from error
            raise
        self._make_days()
        if before is not None and before < OLD_WORKERS_STOP_AT:
            self._warn_of_workers()
        return self.head()

    def _warn_of_workers(self) -> None:
        with self._engine.begin() as connection:
            workers = PostgresWorkers(Statements(connection, self._schema)).all()
        if alive := [worker.node.name for worker in workers if not worker.is_late]:
            _log.warning(
                "%d worker(s) of an older version run on: %s. They complete tasks that are cancelled and start tasks"
                " that have expired; stop them, and start those of this version",
                len(alive),
                ", ".join(alive),
            )

    def _make_days(self) -> None:
        """So that a new database has today's partition before anything finishes in it."""
        try:
            with self._engine.begin() as connection:
                statements = Statements(connection, self._schema)
                PostgresUpkeep(statements, statements.now).make_days(DAYS_AHEAD)
        except Exception as error:  # all of it can be done without, and workers try again
            _log.info("No partitions were made: %s", error)

    def allow_producer(self, role: str) -> None:
        """Let *role* enqueue through the functions of the schema, and do nothing else there that it could not before.

        Raises InvalidInput when there is no such role, and DatabaseUnavailable.
        """
        self._grant(PRODUCER, "producer", role)

    def allow_operator(self, role: str) -> None:
        """Let *role* cancel and retry through the functions of the schema; otherwise as allow_producer."""
        self._grant(OPERATOR, "operator", role)

    def _grant(self, functions: tuple[str, ...], field: str, role: str) -> None:
        try:
            with self._engine.begin() as connection:
                # Two that grant at once would get in each other's way.
                connection.execute(
                    select(func.pg_advisory_xact_lock(func.hashtextextended(lock_name(self._schema), 0)))
                )
                grant(connection, self._schema, functions, field=field, role=role)
        except Exception as error:
            if (ours := translated(error)) is not None:
                raise ours from error
            raise

    def current(self) -> str | None:
        """The revision of the database; None when our tables are not there. Raises DatabaseUnavailable."""
        try:
            with self._engine.connect() as connection:
                if not inspect(connection).has_table(VERSION_TABLE, schema=self._schema):
                    return None
                options = {"version_table": VERSION_TABLE, "version_table_schema": self._schema}
                return MigrationContext.configure(connection, opts=options).get_current_revision()
        except Exception as error:
            if (ours := translated(error)) is not None:
                raise ours from error
            raise

    def head(self) -> str:
        """The revision this version works with."""
        head = self._script_directory().get_current_head()
        if head is None:
            raise FileNotFoundError(f"There are no migrations in {_scripts()}: the installation is incomplete")
        return head

    def verify(self) -> None:
        """Raise SchemaMismatch, saying what to run, unless the schema is the one this version works with."""
        current, head = self.current(), self.head()
        if current == head:
            return
        if current is None:
            raise SchemaMismatch(
                f"The database has no task queue in schema {self._schema!r}: run `python -m app migrate`."
            )
        self._refuse_newer(current)
        raise SchemaMismatch(
            f"The schema {self._schema!r} is at revision {current}, older than the {head} this version needs:"
            " run `python -m app migrate`."
        )

    def _refuse_newer(self, current: str | None) -> None:
        known = {script.revision for script in self._script_directory().walk_revisions()}
        if current is not None and current not in known:
            raise SchemaMismatch(
                f"The schema {self._schema!r} is at revision {current}, which this version does not know (it knows up"
                f" to {self.head()}): update this application to the version that migrated the database."
            )

    def _script_directory(self) -> ScriptDirectory:
        return ScriptDirectory(str(_scripts()))


def lock_name(schema: str) -> str:
    """Of the advisory lock that whoever changes the schema holds."""
    return f"migrate {schema}"


def options_for(schema: str) -> dict[str, Any]:
    """How Alembic is configured for our tables, shared with env.py: it looks at our schema and no other."""
    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": schema,
        "include_schemas": True,
        "include_name": lambda name, kind, parents: (
            name == schema if kind == "schema" else not _is_partition(kind, name)
        ),
    }


def _is_partition(kind: str, name: str | None) -> bool:
    # Partitions come and go as days do; they belong to no migration.
    return kind == "table" and name is not None and name.startswith("finished_")
