"""Scheduling: what every verb of schedules needs to know of this application."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.jobs.errors import UnknownType
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Unfit
from app.domain.json import JsonText
from app.domain.schedules.cron import Crons
from app.domain.schedules.definition import ScheduleDefinition
from app.domain.schedules.errors import ScheduleNotFound
from app.domain.schedules.jitter import jitter_of
from app.domain.schedules.plan import named
from app.domain.schedules.repository import Known
from app.domain.schedules.schedule import Schedule, Source
from app.domain.schedules.tick import ScheduledTick
from app.domain.schedules.timetable import Timetable
from app.domain.tasks.new import NewTask
from app.usecases.tasks.enqueue import EnqueueTasks
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Scheduling:
    """``application`` is whose schedules these are; ``crons`` reads expressions; ``enqueue`` stores their tasks."""

    application: str
    crons: Crons
    enqueue: EnqueueTasks

    @property
    def known(self) -> Known:
        """What can be fired here; anything else is left to workers that know its job."""
        jobs = self.enqueue.jobs
        types = jobs.types()
        return Known(self.application, types, jobs.versions(types))

    def now(self, tx: Transaction) -> datetime:
        """The moment of *tx*, in UTC: in a session's own zone Python adds to what the wall shows."""
        return tx.now().astimezone(UTC)

    def timetable(self, schedule: Schedule) -> Timetable:
        """Raises InvalidSchedule, for a row that somebody has changed by hand."""
        with named(schedule.key):
            return replace(schedule.plan).timetable(self.crons)  # checked anew

    def defined(self, definition: ScheduleDefinition, source: Source, now: datetime) -> Schedule:
        """*definition* as it is stored, its ticks counted from *now* on. Raises InvalidSchedule, UnknownType."""
        job = self.enqueue.jobs.get(definition.type)
        if job is None:
            raise UnknownType(definition.type, self.enqueue.jobs.types())
        with named(definition.key):
            timetable = definition.plan.timetable(self.crons)
            schedule = Schedule(
                application=self.application,
                key=definition.key,
                source=source,
                type=definition.type,
                plan=definition.plan,
                payload=self.payload(job, definition.payload),
                version=job.version,
                options=dict(definition.options),
                created_at=now,
                looked_at=now,
                through=now,
            )
            self.enqueue.check(self.task(schedule, now))
        schedule.fingerprint = schedule.fingerprinted()
        schedule.begin(timetable, now)
        return schedule

    def task(
        self,
        schedule: Schedule,
        tick: datetime,
        *,
        payload: Any = None,
        is_backfill: bool = False,
        delay: timedelta | None = None,
    ) -> NewTask:
        """The task of *tick*, due *delay* after it, or at once."""
        origin = ScheduledTick(schedule.key, tick, is_backfill).origin(schedule.plan.timezone)
        return NewTask(
            type=schedule.type,
            payload=schedule.payload if payload is None else payload,
            version=schedule.version,
            scheduled_at=None if delay is None else tick + delay,
            origin=origin,
            **schedule.options,
        )

    def task_of_tick(self, schedule: Schedule, tick: datetime) -> NewTask:
        """The task of a *tick* that has come, due when its jitter is over."""
        most = float(schedule.plan.jitter)  # type: ignore[arg-type]  # seconds, once it was checked
        delay = jitter_of(schedule.key, tick, most) if most else None
        return self.task(schedule, tick, delay=delay)

    def remember_waiting(self, tx: Transaction, schedules: Sequence[Schedule], now: datetime) -> None:
        """Have those of *schedules* looked at soon of which ticks wait: they count their own ticks from now on."""
        waiting = {run.schedule for run in tx.schedules.waiting(self.application, [one.key for one in schedules])}
        for schedule in schedules:
            if schedule.key in waiting:
                schedule.look_soon(now)

    def found(self, tx: Transaction, key: str) -> Schedule:
        """The schedule of this key, locked. Raises ScheduleNotFound."""
        schedule = tx.schedules.lock(self.application, key)
        if schedule is None:
            raise ScheduleNotFound(key, self.application)
        return schedule

    def payload(self, job: Job[Any, Any], payload: Any) -> Any:
        """*payload*, an instance of the job's model or JSON of it, as JSON. Raises InvalidInput."""
        if job.payload is None:
            return JsonText.of({} if payload is None else payload, field="payload").decoded()
        schema = self.enqueue.schemas.of(job.payload)
        try:
            return schema.to_json(payload, field="payload")
        except Unfit as stranger:
            # JSON of it, as over the command line; of what is neither, the first refusal says what it should be.
            if not isinstance(payload, dict | list | str | int | float | None):
                raise
            said = JsonText.of({} if payload is None else payload, field="payload").decoded()
            try:
                schema.from_json(said, field="payload")
            except Unfit as unfit:
                raise (unfit if isinstance(said, dict | list) else stranger) from None
            return said
