"""The ledger: a table of the tests' own, in which handlers write down that they ran."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

TABLE = """
CREATE TABLE entries (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task uuid NOT NULL,
    note text NOT NULL,
    pid int NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class Ledger:
    """It is kept in a database that no test breaks, so that it knows what happened while the queue's was away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)

    def write(self, task: UUID, note: str, pid: int) -> None:
        self._connection.execute("INSERT INTO entries (task, note, pid) VALUES (%s, %s, %s)", (task, note, pid))

    def notes(self, task: UUID) -> list[str]:
        """What was written about *task*, in order."""
        return [note for (note,) in self._all("SELECT note FROM entries WHERE task = %s ORDER BY number", task)]

    def moments(self, task: UUID) -> list[tuple[str, datetime]]:
        """The same, each with the moment of it."""
        return [
            (note, at) for note, at in self._all("SELECT note, at FROM entries WHERE task = %s ORDER BY number", task)
        ]

    def pids(self, task: UUID, note: str = "ran") -> list[int]:
        """The processes that wrote *note* about *task*, in order."""
        return [
            pid
            for (pid,) in self._all("SELECT pid FROM entries WHERE task = %s AND note = %s ORDER BY number", task, note)
        ]

    def times(self, tasks: Sequence[UUID], note: str = "ran") -> list[int]:
        """How often *note* was written about each of *tasks*."""
        counted = "SELECT task, count(*) FROM entries WHERE note = %s AND task = ANY(%s) GROUP BY task"
        rows = dict(self._all(counted, note, [*tasks]))
        return [rows.get(task, 0) for task in tasks]

    def total(self, note: str = "ran") -> int:
        """How often *note* was written at all."""
        [(count,)] = self._all("SELECT count(*) FROM entries WHERE note = %s", note)
        return int(count)

    def close(self) -> None:
        self._connection.close()

    def _all(self, query: Any, *parameters: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, parameters).fetchall()
