"""Retention: which of a job's ended tasks are too many, or too old, and who removes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol, cast

from app.domain.jobs.keep import Keep

Days = Sequence[tuple[date, int]]
"""How many ended on which day (UTC), the earliest day first."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """Up to *most* tasks of *type* that ended on *day* and before a moment, the earliest first; ``rule`` says why."""

    type: str
    day: date
    rule: str
    before: datetime
    most: int

    @property
    def key(self) -> tuple[str, date, str]:
        """What stays the same of it from one look to the next."""
        return self.type, self.day, self.rule


class Removed(NamedTuple):
    """What a step did: where the next one begins, and whether there is one, or the surplus is dealt with for now.

    ``is_end`` says that all of the day has been looked at; what is left of it can only have come meanwhile.
    """

    number: int
    place: int
    is_over: bool
    is_end: bool


class Retention(Protocol):
    """Removes what jobs say is not to be kept, in steps that cost the same however much there is."""

    def ended_by_day(self, types: Sequence[str]) -> dict[str, list[tuple[date, int]]]:
        """How many tasks of these types ended on which day, the earliest first; nothing while another is at this."""
        ...

    def remove(self, surplus: Surplus, place: int) -> Removed:
        """Look through one piece of the day, from *place* (0 is its beginning), and remove what is surplus there."""
        ...


def surpluses(type: str, keep: Keep, days: Days, now: datetime) -> Iterator[Surplus]:
    """What goes, of tasks of *type* that ended on these *days*, the earliest first; what is too old before the rest.

    What is too old counts for the rest until it is gone: removing it is what makes fewer.
    """
    if keep.age is not None:
        limit = now - timedelta(seconds=cast(float, keep.age))
        for day, number in days:
            if day <= limit.astimezone(UTC).date():
                yield Surplus(type, day, "age", min(limit, _end_of(day)), number)
    if keep.count is not None:
        surplus = sum(number for _, number in days) - keep.count
        for day, number in days:
            if surplus > 0:
                yield Surplus(type, day, "count", _end_of(day), min(number, surplus))
            surplus -= number


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
