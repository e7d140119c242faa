"""The machine's own clock, for the in-memory queue; PostgreSQL has one of its own."""

from datetime import UTC, datetime


class SystemClock:
    """Implements domain.clock.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
