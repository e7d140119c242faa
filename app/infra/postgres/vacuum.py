"""PostgresVacuum: clears dead rows away when PostgreSQL's own autovacuum is late."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, Engine, Integer, Text, bindparam, text

from app.domain.errors import QueueError
from app.domain.upkeep import UpkeepForbidden
from app.infra.postgres.failures import translated
from app.infra.postgres.tables import SCHEMA, tallies, tasks

MANY = 20_000
"""Dead rows, four times as many as autovacuum is told to wait for."""
PAUSE = 120
"""Seconds since the last vacuum of whatever kind: under an old snapshot it achieves nothing, however often."""

LATE = text(
    "SELECT stat.relname, pg_has_role(relowner, 'USAGE')"
    " FROM pg_stat_user_tables stat JOIN pg_class ON pg_class.oid = relid"
    " WHERE schemaname = :schema AND stat.relname = ANY(:tables) AND n_dead_tup > :many"
    " AND coalesce(greatest(last_vacuum, last_autovacuum) < now() - :pause * interval '1 second', true)"
    " ORDER BY 1"
).bindparams(
    bindparam("schema", type_=Text),
    bindparam("tables", [tasks.name, tallies.name], type_=ARRAY(Text)),
    bindparam("many", type_=Integer),
    bindparam("pause", type_=Integer),
)


class PostgresVacuum:
    """Implements Vacuum."""

    def __init__(self, engine: Engine, schema: str = SCHEMA, *, many: int = MANY, pause: int = PAUSE) -> None:
        # VACUUM refuses to run within a transaction.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._schema = schema
        self._asked = {"schema": schema, "many": many, "pause": pause}

    def vacuum_if_late(self) -> Sequence[str]:
        try:
            with self._engine.connect() as connection:
                late = [(table, allowed) for table, allowed in connection.execute(LATE, self._asked)]
                for table, allowed in late:
                    name = f'"{self._schema}"."{table}"'
                    if not allowed:
                        raise UpkeepForbidden("vacuum", name)
                    # SKIP_LOCKED makes its own lock the one that only one of us gets. Without truncating it never asks
                    # for a lock that somebody who claims could wait for.
                    connection.execute(text(f"VACUUM (ANALYZE, SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) {name}"))
                return [table for table, _ in late]
        except QueueError:
            raise
        except Exception as error:
            if (ours := translated(error)) is not None:
                raise ours from error
            raise
