"""Running statements in one transaction: in the configured schema, at the transaction's time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Row

from app.infra.postgres.tables import SCHEMA

Rows = Sequence[Row[*tuple[Any, ...]]]


class Statements:
    """One connection within a transaction that others begin and end.

    The schema goes with each statement, because ``Connection.execution_options`` would change the caller's own
    connection when the transaction is a joined one. For the same reason what the caller has set there is undone for
    our statements: a map of schemas (of tenants, say) is not about our tables, and a server-side cursor cannot insert.
    """

    __slots__ = ("_connection", "_now", "_options")

    def __init__(self, connection: Connection, schema: str, now: datetime | None = None) -> None:
        self._connection = connection
        self._now = now
        self._options: dict[str, Any] = {
            "schema_translate_map": None if schema == SCHEMA else {SCHEMA: schema},
            "stream_results": False,
            "yield_per": None,
        }

    def run(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> Rows:
        """All rows of *statement*; *timed* ones take a parameter ``now``."""
        rows: Rows = self._execute(statement, parameters, timed).fetchall()
        return rows

    def change(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> int:
        """Run *statement* and return how many rows it changed."""
        count: int = self._execute(statement, parameters, timed).rowcount
        return count

    def _execute(self, statement: Executable, parameters: Mapping[str, Any] | None, timed: bool) -> Any:
        given = dict(parameters or {})
        if timed:
            given["now"] = self._now
        return self._connection.execute(statement, given, execution_options=self._options)
