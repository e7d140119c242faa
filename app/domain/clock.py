"""The clock as a port, for what no database decides."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware of its time zone."""
        ...
