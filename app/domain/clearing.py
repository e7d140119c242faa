"""Clearing: which days of what has ended go by the rules of retention, and what of them stays."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from app.domain.retention_rules import RetentionRules

WORTH_MOVING = 3
"""So many times what stays must go, for what stays to be moved. To move a row is to delete it, to write it elsewhere
and to delete it there one day: with more of them, deleting what goes is less work."""


class Place(StrEnum):
    """Where what ended on a day lies."""

    DAY = "day"
    """In room of that day's own, which can be dropped."""
    REST = "rest"
    """With what ended on other days that have no room of their own."""
    KEPT = "kept"
    """Moved out of its day, to outlive it."""


class Kind(NamedTuple):
    """What the rules tell tasks apart by."""

    status: str
    type: str
    queue: str


@dataclass(frozen=True, slots=True)
class Held:
    """How many of each kind ended on a *day* (UTC) and lie in this place; dead letters are not among them."""

    day: date
    place: Place
    numbers: Mapping[Kind, int]


class Way(StrEnum):
    """How what goes is got rid of."""

    DROP = "drop"
    """With all of its day."""
    MOVE = "move"
    """The same, when what stays has been moved out of the way."""
    DELETE = "delete"
    """Row by row, for more stays than goes, or no room can be dropped."""


Key = tuple[date, Place, Way]


@dataclass(frozen=True, slots=True)
class Clearance:
    """What is to be done about a day in one place: these kinds go, all others stay."""

    held: Held
    way: Way
    going: frozenset[Kind]

    @property
    def key(self) -> Key:
        """What stays the same of it from one look to the next."""
        return self.held.day, self.held.place, self.way

    @property
    def goes(self) -> int:
        return sum(number for kind, number in self.held.numbers.items() if kind in self.going)

    @property
    def stays(self) -> int:
        return sum(number for kind, number in self.held.numbers.items() if kind not in self.going)


class Cleared(NamedTuple):
    """What a step did: how many were *removed* or *moved*, and the place at which the next one begins.

    ``place`` is None when all has been looked at, and ``is_held_up`` when a lock could not be had in time.
    """

    removed: int = 0
    moved: int = 0
    place: int | None = None
    is_held_up: bool = False


class Clearing(Protocol):
    """Clears days in steps that cost the same however much there is."""

    def try_lock(self) -> bool:
        """Whether nobody else is at this, or at removing what jobs do not keep; until the transaction ends."""
        ...

    def held(self, before: date) -> Collection[Held]:
        """What ended before that day, the earliest day first."""
        ...

    def clear(self, clearance: Clearance, place: int, patience: float) -> Cleared:
        """Do one step of it, from *place* (0 is the beginning).

        Dropping waits *patience* seconds for a lock, which those who settle wait for meanwhile. It drops nothing when
        something has come to the day that is to stay. Raises UpkeepForbidden where the role may not drop.
        """
        ...


def clearances(
    held: Iterable[Held], rules: RetentionRules, now: datetime, *, may_drop: bool = True
) -> Iterator[Clearance]:
    """What is to be done, in the order of *held*; a task goes when all of the day on which it ended is old enough."""
    for one in held:
        since_end = (now - _end_of(one.day)).total_seconds()
        going = frozenset(
            kind
            for kind, number in one.numbers.items()
            if number > 0 and (age := rules.age_of(*kind)) is not None and age <= since_end
        )
        if going:
            clearance = Clearance(one, Way.DELETE, going)
            yield Clearance(one, _way(clearance), going) if may_drop and one.place is Place.DAY else clearance


def _way(clearance: Clearance) -> Way:
    if not clearance.stays:
        return Way.DROP
    return Way.MOVE if clearance.goes >= WORTH_MOVING * clearance.stays else Way.DELETE


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
