"""Running statements in one transaction: in the configured schema, at the transaction's time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Executable, Row, Text, bindparam, cast, func, select

from app.infra.postgres.moments import NOW
from app.infra.postgres.tables import SCHEMA

Rows = Sequence[Row[*tuple[Any, ...]]]

_MOMENT = select(cast(NOW, DateTime(timezone=True)))
_SETTING = select(func.current_setting(bindparam("name", type_=Text)))
_SET_LOCK_TIMEOUT = select(func.set_config("lock_timeout", bindparam("timeout", type_=Text), True))


class Statements:
    """One connection within a transaction that others begin and end.

    The schema goes with each statement, because ``Connection.execution_options`` would change the caller's own
    connection when the transaction is a joined one. For the same reason what the caller has set there is undone for
    our statements: a map of schemas (of tenants, say) is not about our tables, and a server-side cursor cannot insert.
    """

    __slots__ = ("_connection", "_now", "_options", "_schema")

    def __init__(self, connection: Any, schema: str, now: datetime | None = None) -> None:
        self._connection: Connection = connection
        self._now = now
        self._schema = schema
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

    def now(self) -> datetime:
        """The present moment, by the database's clock."""
        moment: datetime = self.run(_MOMENT, timed=True)[0][0]
        return moment

    def setting(self, name: str) -> str:
        """The value of a setting of PostgreSQL's in this session."""
        value: str = self.run(_SETTING, {"name": name})[0][0]
        return value

    def is_autocommit(self) -> bool:
        """Whether each statement is committed by itself; known without asking the server."""
        dialect, driver = self._connection.dialect, self._connection.connection.dbapi_connection
        return driver is not None and dialect.detect_autocommit_setting(driver)

    def quoted(self, table: str) -> str:
        """The name of one of our tables, for SQL that is written as text; schema names need no escaping."""
        return f'"{self._schema}"."{table}"'

    def lock_key(self, name: str) -> dict[str, str]:
        """The parameter of an advisory lock of this queue alone."""
        return {"key": f"{name} {self._schema}"}

    @contextmanager
    def attempt(self, lock_timeout: str) -> Iterator[None]:
        """What fails in here is undone by itself, and no lock is waited for longer than that.

        A savepoint: not for the hot path.
        """
        with self._connection.begin_nested():
            before = self.setting("lock_timeout")
            self.run(_SET_LOCK_TIMEOUT, {"timeout": lock_timeout})
            yield
            # A savepoint that is kept would keep this too, and the transaction may be the caller's.
            self.run(_SET_LOCK_TIMEOUT, {"timeout": before})

    def _execute(self, statement: Executable, parameters: Mapping[str, Any] | None, timed: bool) -> Any:
        given = dict(parameters or {})
        if timed:
            given["now"] = self._now
        return self._connection.execute(statement, given, execution_options=self._options)
