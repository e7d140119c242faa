"""Create and delete: schedules that are made at run time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.jobs.job import Job
from app.domain.names import checked_name
from app.domain.schedules.definition import ScheduleDefinition, checked_key
from app.domain.schedules.errors import DuplicateSchedule, InvalidSchedule, ScheduleInCode
from app.domain.schedules.misfire import MisfireRule
from app.domain.schedules.overlap import Overlap
from app.domain.schedules.schedule import Schedule, Source
from app.domain.schedules.timetable import Dst
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class CreateSchedule:
    """Make a schedule at run time: for a customer, say. It lives beside those of the code, which never touch it."""

    scheduling: Scheduling

    def __call__(
        self,
        tx: Transaction,
        job: Job[Any, Any] | str,
        *,
        key: str,
        cron: str | None = None,
        every: float | timedelta | None = None,
        at: datetime | None = None,
        anchor: datetime | None = None,
        timezone: str = "UTC",
        payload: Any = None,
        misfire: MisfireRule = "one",
        overlap: Overlap = "allow",
        jitter: float | timedelta = 0,
        dst: Dst = "shift",
        enabled: bool = True,
        **options: Any,
    ) -> Schedule:
        """Return the schedule. Parameters as in JobCatalog.schedule; *job* may be its type, too.

        Raises InvalidSchedule, DuplicateSchedule, and UnknownType for a job that is not defined here.
        """
        type = job.type if isinstance(job, Job) else checked_name("job", job)
        known = self.scheduling.enqueue.jobs.get(type)
        if known is not None:
            options = {"queue": known.queue, "priority": known.priority} | options
        definition = ScheduleDefinition.of(
            checked_key(key, type),
            type=type,
            payload=payload,
            options=options,
            cron=cron,
            every=every,
            at=at,
            anchor=anchor,
            timezone=timezone,
            dst=dst,
            misfire=misfire,
            overlap=overlap,
            jitter=jitter,
            enabled=enabled,
        )
        now = self.scheduling.now(tx)
        schedule = self.scheduling.defined(definition, Source.RUNTIME, now)
        if schedule.plan.at is not None and schedule.plan.at <= now:
            raise InvalidSchedule(key, "at", at, f"must lie ahead: it is {now:%Y-%m-%d %H:%M:%S %Z}")
        if not tx.schedules.add([schedule]):
            raise DuplicateSchedule(key)
        tx.reschedule()
        return schedule


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    """Forget a schedule that was made at run time, or is retired, and its history."""

    scheduling: Scheduling

    def __call__(self, tx: Transaction, key: str) -> None:
        """Its tasks go on. Raises ScheduleNotFound, and ScheduleInCode for one that code defines."""
        schedule = self.scheduling.found(tx, key)
        if schedule.source is Source.CODE and schedule.retired_at is None:
            raise ScheduleInCode(key)
        tx.schedules.remove(self.scheduling.application, key)
