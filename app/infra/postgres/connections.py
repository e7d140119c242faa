"""PostgresConnections: whether connections lead to one server process each, or to a pooler that hands them around."""

from typing import Any

from sqlalchemy import Connection, Engine, func, select

from app.domain.connections import ConnectionKind

_TRIES = 5
_SERVER = select(func.pg_backend_pid())


class PostgresConnections:
    """Implements domain.connections.Connections.

    At its start a connection is told the process it talks with. A pooler must make that up, for it has many; who asks
    by SQL is told another one. With transaction pooling one connection's process also serves others in between.
    """

    def __init__(self, engine: Engine) -> None:
        # In AUTOCOMMIT no transaction could stay open.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")

    def kind(self) -> ConnectionKind:
        with self._engine.connect() as one, self._engine.connect() as other:
            announced = _announced(one)
            served_by = {_server_of(one)}
            one.commit()
            for _ in range(_TRIES):
                # Asked before `one` again, which might have to wait for a process until `other` has committed.
                if _server_of(other) in served_by:
                    return ConnectionKind.TRANSACTION_POOLER
                served_by.add(_server_of(one))
                one.commit()
                other.commit()
                if len(served_by) > 1:
                    return ConnectionKind.TRANSACTION_POOLER
        if announced is None:
            return ConnectionKind.UNKNOWN
        return ConnectionKind.DIRECT if served_by == {announced} else ConnectionKind.SESSION_POOLER


def _server_of(connection: Connection) -> int:
    process: int = connection.execute(_SERVER).scalar_one()
    return process


def _announced(connection: Connection) -> int | None:
    """What the server, or whoever speaks for it, said when the connection began; psycopg 3 and 2 remember it."""
    driver: Any = connection.connection.driver_connection
    told = getattr(getattr(driver, "info", None), "backend_pid", None)
    return told if isinstance(told, int) else None
