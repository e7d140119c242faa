"""Timetables: the ticks of a schedule, the same for whoever works them out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from app.domain.schedules.cron import CronTimes
from app.domain.schedules.wall import Wall

Dst = Literal["skip", "shift", "both"]
"""What becomes of a local time that a change of the clocks leaves out, or shows twice.

``skip``: left out, there is no tick. ``shift``: left out, the tick is at the first moment after the gap (02:30 becomes
03:00 where the clock goes from 02:00 to 03:00; several such ticks become one). With both, what is shown twice ticks
once: the first time. ``both``: left out, as ``shift``; shown twice, it ticks twice.
"""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
"""The least that two moments can be apart."""


class Timetable(Protocol):
    """Moments in UTC, in their order; finding one costs the same however far away it is."""

    def after(self, moment: datetime) -> datetime | None:
        """The first tick later than *moment*, if there is one."""
        ...

    def until(self, moment: datetime) -> datetime | None:
        """The last tick that is not later than *moment*, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class CronTicks:
    """Implements Timetable for an expression on the wall of a place."""

    times: CronTimes
    wall: Wall
    dst: Dst

    def after(self, moment: datetime) -> datetime | None:
        local = self.wall.shows(moment)
        repeat = self.wall.repeat(local.replace(microsecond=0))
        if repeat is None:
            return self._first_after(local)
        if moment >= repeat.moment:
            if self.dst == "both" and (again := self.times.after(local)) is not None and again < repeat.end:
                return (again - repeat.offset).replace(tzinfo=UTC)
            return self._first_after(repeat.end - INSTANT)
        first = self._first_after(local)
        if self.dst == "both" and (again := self.times.after(repeat.begin - INSTANT)) and again < repeat.end:
            second = (again - repeat.offset).replace(tzinfo=UTC)
            return second if first is None else min(first, second)
        return first

    def until(self, moment: datetime) -> datetime | None:
        local = self.wall.shows(moment)
        repeat = self.wall.repeat(local.replace(microsecond=0))
        if repeat is not None and moment >= repeat.moment:
            if self.dst == "both" and (again := self.times.until(local)) is not None and again >= repeat.begin:
                return (again - repeat.offset).replace(tzinfo=UTC)
            local = repeat.end - INSTANT
        while (found := self.times.until(local)) is not None:
            gap = self.wall.gap(found)
            if gap is None:
                return self._latest(found, moment)
            if self.dst != "skip":
                return gap.moment
            local = gap.begin - INSTANT
        return None

    def _first_after(self, local: datetime) -> datetime | None:
        """The first tick of what the wall shows later than *local*, each wall time taken once."""
        while (found := self.times.after(local)) is not None:
            gap = self.wall.gap(found)
            if gap is None:
                return self.wall.first(found)
            if self.dst != "skip":
                return gap.moment
            local = gap.end - INSTANT
        return None

    def _latest(self, local: datetime, moment: datetime) -> datetime:
        """The moment at which the wall showed *local*, the second one if that counts and is not later than *moment*."""
        if self.dst == "both" and (repeat := self.wall.repeat(local)) is not None:
            second = (local - repeat.offset).replace(tzinfo=UTC)
            if second <= moment:
                return second
        return self.wall.first(local)


@dataclass(frozen=True, slots=True)
class IntervalTicks:
    """Implements Timetable for an interval, in absolute time: every multiple of it, counted from an anchor."""

    every: timedelta
    anchor: datetime = EPOCH

    def after(self, moment: datetime) -> datetime | None:
        return self._tick((moment - self.anchor) // self.every + 1)

    def until(self, moment: datetime) -> datetime | None:
        return self._tick((moment - self.anchor) // self.every)

    def _tick(self, number: int) -> datetime | None:
        try:
            return (self.anchor + number * self.every).astimezone(UTC)
        except OverflowError:  # the end of the calendar
            return None


@dataclass(frozen=True, slots=True)
class OneTick:
    """Implements Timetable for a single moment."""

    at: datetime

    def after(self, moment: datetime) -> datetime | None:
        return self.at if self.at > moment else None

    def until(self, moment: datetime) -> datetime | None:
        return self.at if self.at <= moment else None
