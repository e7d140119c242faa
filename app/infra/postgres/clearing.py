"""PostgresClearing: days dropped with all that is in them, what stays moved out of the way, and the rest deleted.

Moving is a DELETE and an INSERT and not an UPDATE of the shelf, which comes to the same: whoever waits for the lock of
a row that an UPDATE takes to another partition gets an error; one that is deleted they find gone, and look again.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    SmallInteger,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.exc import DBAPIError

from app.domain.clearing import Clearance, Cleared, Held, Kind, Place, Way
from app.domain.upkeep import UpkeepForbidden
from app.infra.postgres import kept
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.failures import is_in_the_way, is_lock_timeout
from app.infra.postgres.partitions import DAYS, LOCK, TRY_LOCK, PartitionInUse, days_of, drop, may_alter, pages_of
from app.infra.postgres.retention import LOCK_NAME, Tid
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, Shelf, finished, finished_days, finished_kept, tallies
from app.infra.postgres.tasks.remove import FORGET_DAY
from app.infra.postgres.tasks.tally import tallied

PIECE = 500
"""Pages of a step, 4 MB."""
MOST = 2_000
"""Rows of a step, however small they are: some tens of milliseconds."""

_number = cast(func.sum(tallies.c.number), BigInteger)
_KIND = ("status", "type", "queue")
HELD = (
    select(tallies.c.day, tallies.c.shelf, *(tallies.c[name] for name in _KIND), _number)
    .where(tallies.c.day < bindparam("past", type_=Date), tallies.c.shelf.in_([Shelf.DAYS, Shelf.KEPT]))
    .group_by(tallies.c.day, tallies.c.shelf, *(tallies.c[name] for name in _KIND))
    .having(_number > 0)
    .order_by(tallies.c.day, tallies.c.shelf)
)
OF_DAY = (
    select(*(tallies.c[name] for name in _KIND))
    .where(tallies.c.day == bindparam("past", type_=Date), tallies.c.shelf == Shelf.DAYS)
    .group_by(*(tallies.c[name] for name in _KIND))
    .having(_number > 0)
)

_going = rows_of("going", status=Text, type=Text, queue=Text)
_first, _end = bindparam("first", type_=Moment), bindparam("end", type_=Moment)
_place = literal_column("here.ctid", Tid())


def _goes(table: FromClause) -> ColumnElement[bool]:
    kinds = select(_going.c.status, _going.c.type, _going.c.queue)
    return tuple_(table.c.status, table.c.type, table.c.queue).in_(kinds)


def _taken(which: Any, *columns: str) -> Any:
    """Take *which* rows of a piece of the day away, those aside that somebody has locked, to retry them."""
    here = finished_days.alias("here")
    found = (
        select(here.c.id)
        .where(
            here.c.finished_at >= _first,
            here.c.finished_at < _end,
            _place >= cast(bindparam("from_page", type_=Text), Tid()),
            _place < cast(bindparam("to_page", type_=Text), Tid()),
            which(here),
        )
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    return (
        delete(finished_days)
        .where(
            finished_days.c.id == func.any(func.array(select(found.c.id).scalar_subquery())),
            finished_days.c.finished_at >= _first,
            finished_days.c.finished_at < _end,
        )
        .returning(*(finished_days.c[name] for name in columns))
        .cte("gone")
    )


def _moved() -> Any:
    columns = [column.name for column in finished.c if column.name != "shelf"]
    gone = _taken(lambda here: ~_goes(here), *columns, "shelf")
    shelf = literal(Shelf.KEPT, SmallInteger)
    moved = select(*(gone.c[name] for name in columns), shelf)
    there = insert(finished_kept).from_select([*columns, "shelf"], moved).cte("there")
    return (
        select(func.count())
        .select_from(gone)
        .add_cte(there, tallied(gone, sign=-1), tallied(gone, sign=1, shelf=shelf, name="tallied_there"))
    )


def _deleted() -> Any:
    gone = _taken(_goes, *_KIND, "started_at", "finished_at", "shelf")
    return select(func.count()).select_from(gone).add_cte(tallied(gone, sign=-1))


MOVE = _moved()
DELETE = _deleted()
DELETE_KEPT = kept.removing(_goes)


class PostgresClearing:
    """Implements Clearing."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def try_lock(self) -> bool:
        return bool(self._statements.run(TRY_LOCK, self._statements.lock_key(LOCK_NAME))[0][0])

    def held(self, before: date) -> Sequence[Held]:
        with_room = set(days_of(self._statements))
        held: dict[tuple[date, int], dict[Kind, int]] = {}
        for day, shelf, status, type, queue, number in self._statements.run(HELD, {"past": before}):
            held.setdefault((day, shelf), {})[Kind(status, type, queue)] = number
        return [Held(day, _place_of(day, shelf, with_room), numbers) for (day, shelf), numbers in held.items()]

    def clear(self, clearance: Clearance, place: int, patience: float) -> Cleared:
        if clearance.way is not Way.DELETE:
            self._check()
        match clearance.way, clearance.held.place:
            case Way.DROP, _:
                return self._drop(clearance, patience)
            case Way.MOVE, _:
                number, following = self._walk(MOVE, clearance, place)
                return Cleared(moved=number, place=following)
            case _, Place.KEPT:
                walked = kept.remove(self._statements, DELETE_KEPT, clearance.held.day, place, _kinds(clearance))
                return Cleared(walked.removed, place=walked.place)
            case _:
                number, following = self._walk(DELETE, clearance, place)
                return Cleared(number, place=following)

    def _drop(self, clearance: Clearance, patience: float) -> Cleared:
        day = clearance.held.day
        try:
            with self._statements.attempt(f"{round(patience * 1000)}ms"):
                # Folded meanwhile, they would be new rows, and these cannot be seen from within the statement.
                self._statements.run(LOCK, self._statements.lock_key("tallies"))
                drop(self._statements, day, lambda: self._all_goes(clearance))
                removed: int = self._statements.run(FORGET_DAY, {"past": day})[0][0]
                return Cleared(removed)
        except PartitionInUse:
            return Cleared()
        except DBAPIError as error:
            if not is_in_the_way(error):
                raise
            return Cleared(is_held_up=is_lock_timeout(error))

    def _all_goes(self, clearance: Clearance) -> bool:
        """Asked when nobody can write to the day any more, so that what the tallies say is what is there."""
        there = self._statements.run(OF_DAY, {"past": clearance.held.day})
        return clearance.going.issuperset(Kind(*row) for row in there)

    def _walk(self, statement: Any, clearance: Clearance, place: int) -> tuple[int, int | None]:
        """How many rows of the next piece it was about, and where to go on."""
        day = clearance.held.day
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        given = _kinds(clearance) | {
            "first": first,
            "end": first + timedelta(days=1),
            "from_page": f"({place},0)",
            "to_page": f"({place + PIECE},0)",
            "most": MOST,
        }
        number: int = self._statements.run(statement, given)[0][0]
        if number == MOST:
            return number, place  # more of them will be just here
        following = place + PIECE
        return number, following if following < pages_of(self._statements, day) else None

    def _check(self) -> None:
        if not may_alter(self._statements):
            what = "drop days that are not kept any longer, so that they are deleted row by row"
            raise UpkeepForbidden(what, self._statements.quoted(DAYS))


def _place_of(day: date, shelf: int, with_room: set[date]) -> Place:
    if shelf == Shelf.KEPT:
        return Place.KEPT
    return Place.DAY if day in with_room else Place.REST


def _kinds(clearance: Clearance) -> dict[str, Any]:
    kinds = sorted(clearance.going)
    return {f"{name}_list": [getattr(kind, name) for kind in kinds] for name in _KIND}
