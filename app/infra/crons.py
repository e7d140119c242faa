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
_ALLOWED = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L for the last day, LW for the last weekday",
    "month": "1 to 12, or jan to dec",
    "day-of-week": "0 to 7 (Sunday is both), or sun to sat, 5L for the last Friday, 5#2 for the second",
}
"""By the names that cronsim has for its fields, in their order: what each may hold."""
_NO_DAY = "must name a day that exists: no month has one like this"
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
        raise InvalidInput("cron", expression, _complaint(expression, error)) from error
    if not any(map(read.match_day, _days(read.months))):
        raise InvalidInput("cron", expression, _NO_DAY)
    return CronSimTimes(expression)


def _complaint(expression: str, error: Exception) -> str:
    """What cronsim means, who names the field at the most."""
    name = str(error).removeprefix("Bad ")
    if name not in _ALLOWED:
        return "must be a cron expression"
    fields = expression.split()
    place = list(_ALLOWED).index(name) - len(_ALLOWED) + len(fields)
    if name == "day-of-month" and _is_read([*fields[: place + 1], "*", "*"]):
        return _NO_DAY  # the field is right, and not of these months
    what = name.replace("-", " ")
    return f"must have as {what} {_ALLOWED[name]}; or *, lists (1,2), ranges (1-5), steps (*/2); not {fields[place]!r}"


def _is_read(fields: list[str]) -> bool:
    try:
        CronSim(" ".join(fields), _ANY)
    except (CronSimError, AssertionError, ValueError):
        return False
    return True


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
