"""Schedule: one schedule as it is stored, with the rules by which it changes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.identifiers import TaskId
from app.domain.schedules.plan import Plan
from app.domain.schedules.timetable import Timetable

TOLERANCE = timedelta(seconds=2)
"""How far the clock may be behind what was noted by it, before it has been put back."""
PATIENCE = timedelta(seconds=1)
"""Between two looks at whether what is in the way has gone: the run that ticks wait for, say."""


class Source(StrEnum):
    """Who made a schedule: code, which is compared with the database at each start, or a caller at run time."""

    CODE = "code"
    RUNTIME = "runtime"


@dataclass(slots=True, kw_only=True, eq=False)
class Schedule:
    """Only its own verbs change it; all moments are the database's.

    ``next_tick`` is the nominal tick that comes next, and ``look_at`` when somebody has to look at the schedule: None
    of one that does not tick. All ticks up to ``through`` are dealt with, which was found out at ``looked_at``.
    The history of ticks up to ``trimmed_to`` is forgotten, and none of them is fired any more. ``fingerprint`` is that
    of the definition as it was written; ``repairs`` counts how often the row was found changed by hand since.
    """

    application: str
    key: str
    source: Source
    type: str
    plan: Plan
    payload: Any = None
    version: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    created_at: datetime
    paused_at: datetime | None = None
    retired_at: datetime | None = None
    next_tick: datetime | None = None
    look_at: datetime | None = None
    looked_at: datetime
    through: datetime
    trimmed_to: datetime | None = None
    last_tick: datetime | None = None
    last_fired_at: datetime | None = None
    last_task_id: TaskId | None = None
    repairs: int = 0

    @property
    def is_active(self) -> bool:
        return self.plan.enabled and self.paused_at is None and self.retired_at is None

    def fingerprinted(self) -> str:
        """What stands for the definition as it is now: the same text for the same definition."""
        said = [self.type, self.plan.as_json(), self.payload, self.version, dict(self.options)]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def is_drifted(self) -> bool:
        """Whether somebody has changed the definition who did not write the fingerprint."""
        return self.fingerprint != self.fingerprinted()

    def pause(self, now: datetime) -> None:
        """Of a paused one: nothing changes."""
        if self.paused_at is None:
            self.paused_at = now
            self.rest()

    def resume(self, timetable: Timetable, now: datetime) -> None:
        """Tick again from now on; what came while it was paused is not made up for."""
        if self.paused_at is not None:
            self.paused_at = None
            self.begin(timetable, now)

    def retire(self, now: datetime) -> None:
        """Its code is gone. Nobody's fingerprint is on it then, so nobody who still has the code brings it back."""
        self.retired_at = now
        self.fingerprint = ""
        self.rest()

    def redefine(self, defined: "Schedule", timetable: Timetable, now: datetime) -> datetime | None:
        """Take on what *defined* says. Ticks are counted anew from now on if they are others than before, or if it
        did not tick; otherwise what was due stays due.

        Return the first tick that was due and is passed over by that, if there is one: others may follow it.
        """
        is_same = self.plan.ticks_like(defined.plan) and self.retired_at is None and self.look_at is not None
        due = self.next_tick if self.next_tick is not None and self.next_tick <= now else None
        self.type, self.plan, self.payload = defined.type, defined.plan, defined.payload
        self.version, self.options, self.source = defined.version, defined.options, defined.source
        self.retired_at = None
        self.fingerprint = self.fingerprinted()
        if is_same and self.is_active:
            return None
        self.begin(timetable, now)
        return due

    def begin(self, timetable: Timetable, now: datetime) -> None:
        """Count ticks from now on."""
        self.through = self.looked_at = now
        self._arm(timetable)

    def is_ahead_of(self, now: datetime) -> bool:
        """Whether the clock was put back since somebody last looked."""
        return self.looked_at > now + TOLERANCE

    def notice_clock(self, now: datetime) -> None:
        """Ticks that were passed over while the clock was ahead come again; those that were fired are remembered."""
        if self.is_ahead_of(now):
            self.through = min(self.through, now)

    @property
    def dealt_with(self) -> datetime:
        """The moment up to which no tick is fired any more."""
        return self.through if self.trimmed_to is None else max(self.through, self.trimmed_to)

    def advance(self, timetable: Timetable, through: datetime, now: datetime, *, waiting: bool) -> None:
        """All ticks up to *through* are dealt with, some of them *waiting* for a run to end."""
        self.through, self.looked_at = through, now
        self._arm(timetable)
        if waiting:
            self.look_soon(now)

    def look_soon(self, now: datetime) -> None:
        """Ticks wait for a run to end: see whether it has, unless the schedule rests."""
        if self.is_active:
            soon = now + PATIENCE
            self.look_at = soon if self.look_at is None else min(soon, self.look_at)

    def postpone(self, now: datetime) -> None:
        """Nothing is dealt with at this look: everything is left to the next one, which comes soon."""
        # The clock was noticed already: seen as put back again and again, this would be due at once and for ever.
        self.looked_at = min(self.looked_at, now)
        self.look_at = now + PATIENCE

    def fired(self, tick: datetime, task_id: TaskId, now: datetime) -> None:
        self.last_tick, self.last_fired_at, self.last_task_id = tick, now, task_id

    def _arm(self, timetable: Timetable) -> None:
        self.next_tick = timetable.after(self.dealt_with) if self.is_active else None
        self.look_at = self.next_tick

    def rest(self) -> None:
        """Do not tick any more, until it begins again."""
        self.next_tick = self.look_at = None
