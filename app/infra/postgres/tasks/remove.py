"""Remove: what finished long ago, by whole days where that is possible, and row by row where it is not."""

from collections.abc import Sequence
from datetime import UTC, date
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, Double, Integer, Uuid, bindparam, cast, delete, func, select
from sqlalchemy.exc import DBAPIError

from app.domain.identifiers import TaskId
from app.infra.postgres.failures import is_in_the_way, is_lock_timeout
from app.infra.postgres.moments import after
from app.infra.postgres.partitions import LOCK, days_of, empty
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Shelf, finished, tallies
from app.infra.postgres.tasks.tally import tallied

CHUNK = 10_000
"""Rows deleted by one statement, so that none is a long one."""
LOCK_TIMEOUT = "200ms"
TRIES = 3

_limit = bindparam("limit", type_=DateTime(timezone=True))
_MAY_EMPTY = select(func.current_setting("transaction_isolation") == "read committed")
_LIMIT = select(cast(after(-bindparam("seconds", type_=Double)), DateTime(timezone=True)))

# In the order of an index, each chunk from where the last one ended: none steps over what the others removed.
_old = (
    select(finished.c.id, finished.c.finished_at)
    .where(finished.c.finished_at < _limit, finished.c.id > bindparam("after", type_=Uuid))
    .order_by(finished.c.id)
    .limit(bindparam("chunk", type_=Integer))
    .cte("old")
    .prefix_with("MATERIALIZED")
)
_gone = (
    delete(finished)
    .where(finished.c.id == _old.c.id, finished.c.finished_at == _old.c.finished_at, finished.c.finished_at < _limit)
    .returning(*(finished.c[name] for name in ("type", "queue", "status", "started_at", "finished_at", "shelf")))
    .cte("gone")
)
DELETE_CHUNK = select(
    select(func.count()).select_from(_gone).scalar_subquery(),
    select(_old.c.id).order_by(_old.c.id.desc()).limit(1).scalar_subquery(),
).add_cte(tallied(_gone, sign=-1))

_forgotten = (
    delete(tallies)
    .where(tallies.c.day == bindparam("past", type_=Date), tallies.c.shelf == Shelf.DAYS)
    .returning(tallies.c.number)
    .cte("forgotten")
)
FORGET_DAY = select(cast(func.coalesce(func.sum(_forgotten.c.number), 0), BigInteger))


def remove_finished(statements: Statements, older_than_seconds: float) -> int:
    """How many were removed. Nothing that settling needs is locked, however long the transaction goes on."""
    # What is on its way to another shelf would be seen in neither place.
    statements.run(LOCK, statements.lock_key("retention"))
    limit = statements.run(_LIMIT, {"seconds": older_than_seconds}, timed=True)[0][0]
    removed = 0
    for day in _whole_days(statements, limit.astimezone(UTC).date()):
        removed += _remove_day(statements, day)
    last: TaskId | None = TaskId(int=0)
    while last is not None:
        chunk: Any = {"limit": limit, "after": last, "chunk": CHUNK}
        number, last = statements.run(DELETE_CHUNK, chunk)[0]
        removed += number
    return removed


def _whole_days(statements: Statements, limit: date) -> Sequence[date]:
    days = [day for day in days_of(statements) if day < limit]
    # What a day's tallies come to is asked after the day was locked, which takes a snapshot of that moment.
    return days if days and statements.run(_MAY_EMPTY)[0][0] else []


def _remove_day(statements: Statements, day: date) -> int:
    """All of a day that has a partition: what it held is what its tallies say, for no other holds any of that day.

    0 when that cannot be done now, because somebody reads it: then it is left to be deleted row by row.
    """
    for _ in range(TRIES):
        try:
            with statements.attempt(LOCK_TIMEOUT):
                # Folded meanwhile, they would be new rows, and these cannot be seen from within the statement.
                statements.run(LOCK, statements.lock_key("tallies"))
                empty(statements, day)
                number: int = statements.run(FORGET_DAY, {"past": day})[0][0]
                return number
        except DBAPIError as error:
            if not is_in_the_way(error):
                raise
            if not is_lock_timeout(error):
                break
    return 0
