"""TrialClock: the time of a queue under test, moved by hand."""

import threading
from datetime import UTC, datetime, timedelta

from app.domain.errors import InvalidInput
from app.domain.moments import checked_moment, checked_seconds


class TrialClock:
    """Implements domain.clock.Clock: it begins at *now*, the present unless said, and stands still until moved.

    Moving it runs nothing: what falls due thereby is run by the next drain. Raises InvalidInput.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._now = datetime.now(UTC) if now is None else checked_moment("now", now)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The present moment of the queue, in UTC."""
        with self._lock:
            return self._now

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move on by so much, and return the new present. Raises InvalidInput for a way back."""
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        checked_seconds("clock", by)
        with self._lock:
            self._now += by
            return self._now

    def move_to(self, moment: datetime) -> datetime:
        """Move on to *moment*, which needs a time zone. Raises InvalidInput for one that is past."""
        to = checked_moment("moment", moment)
        with self._lock:
            if to < self._now:
                raise InvalidInput("moment", moment, f"must not lie before the queue's present, {self._now}")
            self._now = to
            return self._now
