"""Wall: what a clock on the wall shows, who leaves out some times of a year, and shows some of them twice."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.domain.errors import InvalidInput

_SECOND = timedelta(seconds=1)


class Turn(NamedTuple):
    """Where the clock was put forward or back: the *moment*, and the wall times from *begin* up to *end* that it left
    out, or showed twice. ``offset`` is what the clock is ahead of UTC from then on."""

    moment: datetime
    begin: datetime
    end: datetime
    offset: timedelta


class Wall:
    """A clock on the wall; all wall times are naive, all moments in UTC."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def shows(self, moment: datetime) -> datetime:
        """The wall time at *moment*."""
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def first(self, local: datetime) -> datetime:
        """The moment at which the wall shows *local*, which it does; of two the first."""
        return (local - self._offset(local, 0)).replace(tzinfo=UTC)

    def gap(self, local: datetime) -> Turn | None:
        """Where *local* was left out, if it was."""
        before, after = self._offset(local, 0), self._offset(local, 1)
        if before >= after:
            return None
        moment = self._turn(local - after, local - before, after)
        return Turn(moment.replace(tzinfo=UTC), moment + before, moment + after, after)

    def repeat(self, local: datetime) -> Turn | None:
        """Where *local* was shown for a second time, if it was; that time began at ``moment``."""
        before, after = self._offset(local, 0), self._offset(local, 1)
        if before <= after:
            return None
        moment = self._turn(local - before, local - after, after)
        return Turn(moment.replace(tzinfo=UTC), moment + after, moment + before, after)

    def _offset(self, local: datetime, fold: int) -> timedelta:
        return local.replace(tzinfo=self.zone, fold=fold).utcoffset() or timedelta()

    def _turn(self, before: datetime, after: datetime, offset: timedelta) -> datetime:
        """The moment between *before* and *after* (in UTC, naive, whole seconds) from which on *offset* holds."""
        while after - before > _SECOND:
            middle = before + (after - before) // (2 * _SECOND) * _SECOND
            if middle.replace(tzinfo=UTC).astimezone(self.zone).utcoffset() == offset:
                after = middle
            else:
                before = middle
        return after


def checked_zone(value: object) -> ZoneInfo:
    """The time zone of this name, as in ``Europe/Berlin``. Raises InvalidInput."""
    rule = "must be a time zone that is known here, such as UTC or Europe/Berlin"
    if not isinstance(value, str) or not value:
        raise InvalidInput("timezone", value, rule)
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:  # a directory of zones, a path out of it, a name of no zone
        raise InvalidInput("timezone", value, rule) from error
