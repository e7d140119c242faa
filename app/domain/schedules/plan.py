"""Plan: when a schedule ticks, and what becomes of its ticks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self, get_args

from app.domain.errors import InvalidInput
from app.domain.moments import checked_moment, checked_seconds
from app.domain.schedules import misfire as misfires
from app.domain.schedules.cron import Crons, checked_cron
from app.domain.schedules.errors import InvalidSchedule
from app.domain.schedules.misfire import MisfireRule, checked_misfire
from app.domain.schedules.overlap import OVERLAPS, Overlap
from app.domain.schedules.timetable import EPOCH, CronTicks, Dst, IntervalTicks, OneTick, Timetable
from app.domain.schedules.wall import Wall, checked_zone

SHORTEST = 1.0
"""Seconds of an interval, as of a cron expression with seconds."""
_KINDS = ("cron", "every", "at")
_TICKS = (*_KINDS, "anchor", "timezone", "dst")
"""What decides when it ticks; all else is about what becomes of a tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Exactly one of *cron* (an expression or a nickname), *every* (seconds or a timedelta), *at* (a moment).

    An interval counts in absolute time: its ticks are *anchor* and all multiples of it from there, which is the
    beginning of 1970 UTC unless said, so every full quarter of an hour for 15 minutes. *timezone* is that of the cron
    expression, and UTC unless said; *dst* says what a change of the clocks does to it, see Dst. *jitter* is seconds by
    which the task waits beyond its tick, up to so many, drawn for each tick. Raises InvalidInput.
    """

    cron: str | None = None
    every: float | timedelta | None = None
    at: datetime | None = None
    anchor: datetime | None = None
    timezone: str = "UTC"
    dst: Dst = "shift"
    misfire: MisfireRule = "one"
    overlap: Overlap = "allow"
    jitter: float | timedelta = 0.0
    enabled: bool = True

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _KINDS if getattr(self, name) is not None}
        if not given:
            raise InvalidInput("cron", None, "must be given, or else every= or at=")
        if len(given) > 1:
            raise InvalidInput("cron", given, f"must be one of cron=, every= and at=, not {' and '.join(given)}")
        if self.cron is not None:
            self._set("cron", checked_cron(self.cron))
        if self.every is not None:
            every = checked_seconds("every", self.every)
            if every < SHORTEST:
                raise InvalidInput("every", self.every, f"must be {SHORTEST:g} second or more")
            self._set("every", every)
        if self.at is not None:
            self._set("at", checked_moment("at", self.at))
        if self.anchor is not None:
            if self.every is None:
                raise InvalidInput("anchor", self.anchor, "must be left out: only an interval has one")
            self._set("anchor", checked_moment("anchor", self.anchor))
        checked_zone(self.timezone)
        for name, allowed in (("dst", get_args(Dst)), ("overlap", OVERLAPS)):
            if getattr(self, name) not in allowed:
                raise InvalidInput(name, getattr(self, name), f"must be one of {', '.join(allowed)}")
        checked_misfire(self.misfire)
        self._set("jitter", checked_seconds("jitter", self.jitter))
        if not isinstance(self.enabled, bool):
            raise InvalidInput("enabled", self.enabled, "must be true or false")

    @classmethod
    def stored(cls, **values: Any) -> Self:
        """As it was stored, whatever somebody has done to it since: it is checked when its timetable is asked for."""
        plan = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(plan, name, value)
        return plan

    def timetable(self, crons: Crons) -> Timetable:
        """Its ticks. Raises InvalidInput for an expression that *crons* cannot read."""
        if self.cron is not None:
            return CronTicks(crons.read(self.cron), Wall(checked_zone(self.timezone)), self.dst)
        if self.every is not None:
            # A float by now; only the parameter takes more.
            return IntervalTicks(timedelta(seconds=self.every), self.anchor or EPOCH)  # type: ignore[arg-type]
        return OneTick(self.at or EPOCH)

    def ticks_like(self, other: "Plan") -> bool:
        """Whether both tick at the same moments, as far as what is said of them tells."""
        return all(getattr(self, name) == getattr(other, name) for name in _TICKS)

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """With *changes*; one of cron, every and at takes the place of the other two. Raises InvalidInput."""
        known = {field.name for field in fields(self)}
        if unknown := sorted(changes.keys() - known):
            raise InvalidInput(unknown[0], changes[unknown[0]], f"must be one of {', '.join(sorted(known))}")
        kinds = dict.fromkeys((*_KINDS, "anchor")) if any(name in changes for name in _KINDS) else {}
        return replace(self, **{**kinds, **changes})

    def as_json(self) -> dict[str, Any]:
        return {
            "cron": self.cron,
            "every": self.every,
            "at": self.at and self.at.astimezone(UTC).isoformat(),
            "anchor": self.anchor and self.anchor.astimezone(UTC).isoformat(),
            "timezone": self.timezone,
            "dst": self.dst,
            "misfire": misfires.as_json(self.misfire),
            "overlap": self.overlap,
            "jitter": self.jitter,
            "enabled": self.enabled,
        }

    def __str__(self) -> str:
        if self.cron is not None:
            return f"{self.cron} ({self.timezone})"
        if self.every is not None:
            return f"every {timedelta(seconds=self.every)}"  # type: ignore[arg-type]  # as above
        return f"at {self.at:%Y-%m-%d %H:%M:%S %Z}"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


@contextmanager
def named(schedule: str) -> Iterator[None]:
    """What is refused in here is refused in the name of *schedule*: raises InvalidSchedule for InvalidInput."""
    try:
        yield
    except InvalidSchedule:
        raise
    except InvalidInput as error:
        raise InvalidSchedule(schedule, error.field, error.value, error.rule) from error
