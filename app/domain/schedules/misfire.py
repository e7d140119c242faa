"""Misfire: which of the ticks that nobody was there for are made up for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds, duration
from app.domain.numbers import checked_whole_number
from app.domain.schedules.timetable import INSTANT, Timetable

IN_TIME = timedelta(seconds=30)
"""The latest tick is in time for so long: as long as a deployment may take, and a worker's look twice."""
GRACE = timedelta(seconds=5)
"""While the first of the ticks that are due is no older, nobody was away and all are in time: what a busy machine, a
pause of a worker or its replacement by another takes. Without it a schedule that ticks each second would lose ticks to
a worker that is a second late."""
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
"""What becomes of ticks that nobody fired in time, and of nothing else.

All that are due are in time while the first of them is at most 5 seconds old (GRACE). Otherwise some were missed, and
only the latest is in time, until the next one comes and for 30 seconds at most (IN_TIME).

``skip``: what was missed is not made up for. ``one``: all of it together gets one run, of the latest tick; none when
that is in time anyhow. ``all``: each gets its run. ``Misfire``: so many of the latest get one, counted with the one
that is in time, or those of the time within."""


def checked_misfire(value: object) -> MisfireRule:
    """Raises InvalidInput."""
    if isinstance(value, Misfire) or value in ("skip", "one", "all"):
        return value
    raise InvalidInput("misfire", value, "must be 'skip', 'one', 'all', or a Misfire(most=…, within=…)")


def as_json(rule: MisfireRule) -> Any:
    return {"most": rule.most, "within": rule.within} if isinstance(rule, Misfire) else rule


def from_json(value: Any) -> MisfireRule:
    """A duration may be text, as in ``duration``. Raises InvalidInput."""
    if isinstance(value, dict):
        if unknown := value.keys() - {"most", "within"}:
            raise InvalidInput("misfire", value, f"must have most and within, not {', '.join(sorted(unknown))}")
        within = value.get("within")
        if isinstance(within, str):
            value = value | {"within": duration(within, "misfire.within")}
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

    The work is bounded by *limit* and by ``Misfire.most``, however long the outage was.
    """
    first = timetable.after(after)
    if first is None or first > now:
        return Due([], None, after)
    start = _start(timetable, rule, first, now)
    ticks: list[datetime] = []
    tick = timetable.after(start)
    while tick is not None and tick <= now and len(ticks) < limit:
        ticks.append(tick)
        tick = timetable.after(tick)
    is_cut = tick is not None and tick <= now
    return Due(ticks, first if first <= start else None, ticks[-1] if is_cut else now)


def _start(timetable: Timetable, rule: MisfireRule, first: datetime, now: datetime) -> datetime:
    """The moment behind which all ticks are fired, of those from *first* on."""
    start = first - INSTANT
    if rule == "all" or now - first <= GRACE:
        return start
    latest = max(first, timetable.until(now) or first)
    if rule == "one":
        return latest - INSTANT
    in_time = latest - INSTANT if now - latest <= IN_TIME else now
    if not isinstance(rule, Misfire):
        return in_time
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
