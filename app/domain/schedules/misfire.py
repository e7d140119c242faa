"""Misfire: which of the ticks that nobody was there for are made up for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds
from app.domain.numbers import checked_whole_number
from app.domain.schedules.timetable import INSTANT, Timetable

IN_TIME = timedelta(seconds=30)
"""A tick that is fired within so long was not missed: as long as a deployment may take, and a worker's look twice."""
MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfire:
    """Make up for the latest *most* ticks, or for those of the time *within* (seconds or a timedelta), or for what fits
    both. Raises InvalidInput."""

    most: int | None = None
    within: float | timedelta | None = None

    def __post_init__(self) -> None:
        if self.most is None and self.within is None:
            raise InvalidInput("misfire", self, f"must say most=1 to {MOST}, or within=timedelta(…), or both")
        if self.most is not None:
            checked_whole_number("misfire.most", self.most, low=1, high=MOST)
        if self.within is not None:
            object.__setattr__(self, "within", checked_seconds("misfire.within", self.within, positive=True))


MisfireRule = Literal["skip", "one", "all"] | Misfire
"""``skip``: what was missed is not made up for. ``one``: all that was missed together gets one run, of the latest tick;
none when a tick is due in time anyhow. ``all``: each gets its run. ``Misfire``: some do."""


def checked_misfire(value: object) -> MisfireRule:
    """Raises InvalidInput."""
    if isinstance(value, Misfire) or value in ("skip", "one", "all"):
        return value
    raise InvalidInput("misfire", value, "must be 'skip', 'one', 'all', or a Misfire(most=…, within=…)")


def as_json(rule: MisfireRule) -> Any:
    return {"most": rule.most, "within": rule.within} if isinstance(rule, Misfire) else rule


def from_json(value: Any) -> MisfireRule:
    """Raises InvalidInput."""
    if isinstance(value, dict):
        if unknown := value.keys() - {"most", "within"}:
            raise InvalidInput("misfire", value, f"must have most and within, not {', '.join(sorted(unknown))}")
        return Misfire(**value)
    return checked_misfire(value)


class Due(NamedTuple):
    """The *ticks* to fire, the earliest first; all up to *through* are dealt with then.

    ``missed`` is the first of those that nobody will fire, if there are any.
    """

    ticks: list[datetime]
    missed: datetime | None
    through: datetime


def due_ticks(timetable: Timetable, rule: MisfireRule, *, after: datetime, now: datetime, limit: int) -> Due:
    """What is to be fired *now*, when all ticks up to *after* are dealt with; at most *limit*, the rest in a next call.

    The work is bounded by *limit*, by the ticks of half a minute, and by ``Misfire.most``, however long the outage was.
    """
    first = timetable.after(after)
    if first is None or first > now:
        return Due([], None, after)
    start = _start(timetable, rule, after, now)
    ticks: list[datetime] = []
    tick = timetable.after(start)
    while tick is not None and tick <= now and len(ticks) < limit:
        ticks.append(tick)
        tick = timetable.after(tick)
    if not ticks and rule == "one" and (latest := timetable.until(now)) is not None:
        ticks, start, tick = [latest], latest - INSTANT, None
    is_cut = tick is not None and tick <= now
    return Due(ticks, first if first <= start and first not in ticks else None, ticks[-1] if is_cut else now)


def _start(timetable: Timetable, rule: MisfireRule, after: datetime, now: datetime) -> datetime:
    """The moment behind which all ticks are fired."""
    if rule == "all":
        return after
    in_time = max(after, now - IN_TIME - INSTANT)
    if not isinstance(rule, Misfire):
        return in_time
    start = after
    if rule.within is not None:
        start = max(start, now - timedelta(seconds=float(rule.within)) - INSTANT)  # type: ignore[arg-type]  # seconds
    if rule.most is not None:
        place = now
        for _ in range(rule.most):
            tick = timetable.until(place)
            if tick is None or tick <= start:
                break
            place = tick - INSTANT
        else:
            start = max(start, place)
    return min(start, in_time)
