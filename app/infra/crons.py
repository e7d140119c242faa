"""CronSimCrons: cron expressions, read by cronsim."""

import calendar
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from app.domain.errors import InvalidInput
from app.domain.schedules.cron import CronTimes

_ANY = datetime(2000, 1, 1)  # noqa: DTZ001  # on the wall, of no zone
_CYCLE = range(2000, 2028)
"""Years in which every month begins on every day of the week, February in both of its lengths."""
_INSTANT = timedelta(microseconds=1)


class CronSimTimes:
    """Implements CronTimes.

    Given moments without a zone, cronsim walks along the calendar alone, and has no say in what a change of the clocks
    does: that is the domain's.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def after(self, local: datetime) -> datetime | None:
        return self._next(CronSim(self._expression, local))

    def until(self, local: datetime) -> datetime | None:
        # Backwards it begins with the second that it is given a part of.
        local = local if local.microsecond else local + _INSTANT
        return self._next(CronSim(self._expression, local, reverse=True))

    def _next(self, times: CronSim) -> datetime | None:
        try:
            return next(times, None)
        except OverflowError:  # the end of the calendar
            return None


class CronSimCrons:
    """Implements Crons; each expression is read once in a process."""

    def read(self, expression: str) -> CronTimes:
        return _read(expression)


@lru_cache(maxsize=1024)
def _read(expression: str) -> CronSimTimes:
    try:
        read = CronSim(expression, _ANY)
    except (CronSimError, AssertionError, ValueError) as error:
        rule = f"must be a cron expression: {str(error)[:1].lower()}{str(error)[1:]}"
        raise InvalidInput("cron", expression, rule) from error
    if not any(map(read.match_day, _days(read.months))):
        raise InvalidInput("cron", expression, "must name a day that exists: no month has one like this")
    return CronSimTimes(expression)


def _days(months: set[int]) -> Iterator[date]:
    """Each kind of day that these months can have, once: by its number, its weekday and the length of its month."""
    seen: set[tuple[int, int]] = set()
    for year in _CYCLE:
        for month in months:
            kind = calendar.monthrange(year, month)
            if kind not in seen:
                seen.add(kind)
                for day in range(1, kind[1] + 1):
                    yield date(year, month, day)
