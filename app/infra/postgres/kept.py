"""Walking along the shelf of what outlives its day, by an index on the ends that this shelf alone has."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Integer, bindparam, delete, func, select

from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, finished_kept
from app.infra.postgres.tasks.tally import tallied

CHUNK = 2_000
"""Rows of a step, some tens of milliseconds; and those that ended at the very moment of its last one."""

_MICROSECOND = timedelta(microseconds=1)
_KIND = ("type", "queue", "status")
_since, _before = bindparam("since", type_=Moment), bindparam("before", type_=Moment)


class Walked(NamedTuple):
    """How many were removed, and where the next chunk begins: microseconds of the day, None behind the last one."""

    removed: int
    place: int | None


def removing(which: Callable[[CTE], ColumnElement[bool]]) -> Any:
    """Remove *which* rows of a chunk, up to ``most`` of them, the earliest first; for ``remove``."""
    # What is settled in a batch ends at the same moment, and the next chunk begins after that.
    chunk = (
        select(finished_kept.c.id, finished_kept.c.finished_at, *(finished_kept.c[name] for name in _KIND))
        .where(finished_kept.c.finished_at >= _since, finished_kept.c.finished_at < _before)
        .order_by(finished_kept.c.finished_at)
        .fetch(bindparam("chunk", type_=Integer), with_ties=True)
        .cte("chunk")
        .prefix_with("MATERIALIZED")
    )
    first = (
        select(chunk.c.id)
        .where(which(chunk))
        .order_by(chunk.c.finished_at, chunk.c.id)
        .limit(bindparam("most", type_=Integer))
    )
    # Nobody who has one locked, to retry it, is waited for.
    free = (
        select(finished_kept.c.id)
        .where(finished_kept.c.id == func.any(func.array(first.scalar_subquery())))
        .with_for_update(skip_locked=True)
        .cte("free")
        .prefix_with("MATERIALIZED")
    )
    gone = (
        delete(finished_kept)
        .where(finished_kept.c.id == func.any(func.array(select(free.c.id).scalar_subquery())))
        .returning(*(finished_kept.c[name] for name in (*_KIND, "started_at", "finished_at", "shelf")))
        .cte("gone")
    )
    return select(
        select(func.count()).select_from(gone).scalar_subquery(),
        select(func.count()).select_from(chunk).scalar_subquery(),
        select(func.max(chunk.c.finished_at)).scalar_subquery(),
    ).add_cte(tallied(gone, sign=-1))


def remove(
    statements: Statements,
    removal: Any,
    day: date,
    place: int,
    parameters: dict[str, Any],
    *,
    before: datetime | None = None,
    most: int = 2**31 - 1,
) -> Walked:
    """Look through the next chunk of what ended on *day*, and *before* a moment of it, from *place* (0: its begin)."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    given = parameters | {
        "since": begin + place * _MICROSECOND,
        "before": before or begin + timedelta(days=1),
        "chunk": CHUNK,
        "most": min(most, 2**31 - 1),
    }
    removed, seen, last = statements.run(removal, given)[0]
    if seen < CHUNK:
        return Walked(removed, None)
    return Walked(removed, (last - begin) // _MICROSECOND + 1)
