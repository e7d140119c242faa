"""PostgresRetention: ended tasks that are kept no longer, removed by walking along the partition of a day.

An index by type would be paid for by every task that ends. What the tallies say of a type (how many, on which day) is
exact, so that only days are walked on which there is something to remove; and rows lie in a partition much as they
came, the earliest end first, so that a walk that remembers its place sees each page once, not once a minute.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Integer, Text, bindparam, cast, delete, func, literal_column, select
from sqlalchemy.types import UserDefinedType

from app.domain.retention import Removed, Surplus
from app.infra.postgres import kept
from app.infra.postgres.partitions import TRY_LOCK, pages_of
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, Shelf, finished_days, tallies
from app.infra.postgres.tasks.tally import tallied

PIECE = 500
"""Pages of a step, 4 MB: some tens of milliseconds."""
LOCK_NAME = "retention"
"""Of the advisory lock that whoever removes or moves what has ended holds, so that none steps over another's move."""

_KEPT = 2**40
"""The place at which what outlives its day begins: behind every page, and a microsecond a place from there on."""


class Tid(UserDefinedType[str]):
    """Where a row lies."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "tid"


_SHELVES = (Shelf.DAYS, Shelf.KEPT)
_number = func.sum(tallies.c.number)
ENDED_BY_DAY = (
    select(tallies.c.type, tallies.c.day, cast(_number, BigInteger))
    .where(tallies.c.type == func.any(bindparam("types", type_=ARRAY(Text))), tallies.c.shelf.in_(_SHELVES))
    .group_by(tallies.c.type, tallies.c.day)
    .having(_number > 0)
    .order_by(tallies.c.type, tallies.c.day)
)
_here = finished_days.alias("here")
_place = literal_column("here.ctid", Tid())
_first, _end = bindparam("first", type_=Moment), bindparam("end", type_=Moment)
_ours = (
    select(_here.c.id, _here.c.finished_at, (_here.c.finished_at < bindparam("before", type_=Moment)).label("goes"))
    .where(
        _here.c.finished_at >= _first,
        _here.c.finished_at < _end,
        _place >= cast(bindparam("from_page", type_=Text), Tid()),
        _place < cast(bindparam("to_page", type_=Text), Tid()),
        _here.c.type == bindparam("type", type_=Text),
    )
    .cte("ours")
    .prefix_with("MATERIALIZED")
)
_old = (
    select(_ours.c.id)
    .where(_ours.c.goes)
    .order_by(_ours.c.finished_at, _ours.c.id)
    .limit(bindparam("most", type_=Integer))
)
_gone = (
    delete(finished_days)
    .where(
        finished_days.c.id == func.any(func.array(_old.scalar_subquery())),
        finished_days.c.finished_at >= _first,
        finished_days.c.finished_at < _end,
    )
    .returning(*(finished_days.c[name] for name in ("type", "queue", "status", "started_at", "finished_at", "shelf")))
    .cte("gone")
)
REMOVE = select(
    select(func.count()).select_from(_gone).scalar_subquery(),
    select(func.count()).select_from(_ours).where(~_ours.c.goes).scalar_subquery(),
).add_cte(tallied(_gone, sign=-1))
REMOVE_KEPT = kept.removing(lambda chunk: chunk.c.type == bindparam("type", type_=Text))


class PostgresRetention:
    """Implements Retention. Tasks that ended at nearly the same time may go in another order than they ended in."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def ended_by_day(self, types: Sequence[str]) -> dict[str, list[tuple[date, int]]]:
        if not self._statements.run(TRY_LOCK, self._statements.lock_key(LOCK_NAME))[0][0]:
            return {}
        by_day: dict[str, list[tuple[date, int]]] = {}
        # After the lock, so that what another one has just removed is not removed from the rest again.
        for type, day, number in self._statements.run(ENDED_BY_DAY, {"types": list(types)}):
            by_day.setdefault(type, []).append((day, number))
        return by_day

    def remove(self, surplus: Surplus, place: int) -> Removed:
        if place >= _KEPT:
            return self._remove_kept(surplus, place - _KEPT)
        first = datetime(surplus.day.year, surplus.day.month, surplus.day.day, tzinfo=UTC)
        given = {
            "first": first,
            "end": first + timedelta(days=1),
            "before": surplus.before,
            "type": surplus.type,
            "most": min(surplus.most, 2**31 - 1),
            "from_page": f"({place},0)",
            "to_page": f"({place + PIECE},0)",
        }
        number, kept = self._statements.run(REMOVE, given)[0]
        if number >= surplus.most or kept:
            # More of it will be just here.
            return Removed(number, place, is_over=True, is_end=False)
        is_end = place + PIECE >= pages_of(self._statements, surplus.day)
        return Removed(number, _KEPT if is_end else place + PIECE, is_over=False, is_end=False)

    def _remove_kept(self, surplus: Surplus, place: int) -> Removed:
        given = {"type": surplus.type}
        removed, following = kept.remove(
            self._statements, REMOVE_KEPT, surplus.day, place, given, before=surplus.before, most=surplus.most
        )
        if removed >= surplus.most:
            return Removed(removed, _KEPT + place, is_over=True, is_end=False)
        is_end = following is None
        return Removed(removed, 0 if following is None else _KEPT + following, is_over=is_end, is_end=is_end)
