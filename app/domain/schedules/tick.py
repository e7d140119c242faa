"""ScheduledTick: what a handler sees of the tick that its task was enqueued for."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class ScheduledTick:
    """``at`` is the nominal tick, in the time zone of the schedule: whenever the task is run, that is its moment."""

    schedule: str
    at: datetime
    is_backfill: bool = False

    @classmethod
    def of(cls, origin: Mapping[str, Any] | None) -> Self | None:
        """The tick that a task with this ``origin`` is of, if it is of one."""
        if not origin or "schedule" not in origin or "tick" not in origin:
            return None
        at = datetime.fromisoformat(origin["tick"])
        with suppress(KeyError, ValueError, OSError):  # of a zone that is not known here the offset is left
            at = at.astimezone(ZoneInfo(origin["timezone"]))
        return cls(origin["schedule"], at, bool(origin.get("backfill")))

    def origin(self, timezone: str) -> dict[str, Any]:
        """What the task is stored with."""
        at = self.at.astimezone(ZoneInfo(timezone)).isoformat()
        return {"schedule": self.schedule, "tick": at, "backfill": self.is_backfill, "timezone": timezone}
