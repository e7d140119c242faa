"""What handlers of these tests write, and how much of it is there."""

from typing import Any

import psycopg
from sqlalchemy import text

from app import TaskContext

TABLE = "CREATE TABLE effects (note text UNIQUE DEFERRABLE INITIALLY DEFERRED)"
WRITE = text("INSERT INTO effects (note) VALUES (:note)")


class Effects:
    """A table of the application's own."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self.connection = connection

    @property
    def notes(self) -> list[str]:
        """What is there for everybody."""
        return [note for (note,) in self.connection.execute("SELECT note FROM effects ORDER BY note").fetchall()]

    @property
    def open_transactions(self) -> int:
        """Of the application, as the server sees them."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%' AND query LIKE '%effects%'"
        )
        [(count,)] = self.connection.execute(query).fetchall()
        return int(count)


def writes(payload: Any, context: TaskContext) -> str:
    context.session.execute(WRITE, {"note": str(context.task.attempts)})
    return type(context.session).__mro__[1].__name__


async def awrites(payload: Any, context: TaskContext) -> str:
    await context.session.execute(WRITE, {"note": str(context.task.attempts)})
    return type(context.session).__mro__[1].__name__
