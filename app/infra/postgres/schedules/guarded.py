"""GuardedStatements: statements about schedules, of which a missing right is told in their terms."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.exc import DBAPIError

from app.domain.schedules.errors import SchedulesForbidden
from app.infra.postgres.failures import forbidden
from app.infra.postgres.statements import Rows, Statements


class GuardedStatements:
    """As Statements. Raises SchedulesForbidden."""

    __slots__ = ("_statements",)

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def run(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> Rows:
        with _told():
            return self._statements.run(statement, parameters, timed=timed)

    def change(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> int:
        with _told():
            return self._statements.change(statement, parameters, timed=timed)

    def lock_key(self, name: str) -> dict[str, str]:
        return self._statements.lock_key(name)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if (detail := forbidden(error)) is not None:
            raise SchedulesForbidden(detail) from error
        raise
