"""Operate: pause, resume and run schedules by hand."""

from dataclasses import dataclass
from typing import Any

from app.domain.schedules.errors import ScheduleRetired
from app.domain.schedules.run import RunKind, RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.schedules.timetable import INSTANT
from app.domain.tasks.task import WorkerTask
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class PauseSchedule:
    """Let a schedule rest, until it is resumed: over restarts and deployments, too."""

    scheduling: Scheduling

    def __call__(self, tx: Transaction, key: str) -> Schedule:
        """Return the schedule; a paused one is returned unchanged. Raises ScheduleNotFound, ScheduleRetired."""
        schedule = _alive(self.scheduling.found(tx, key))
        schedule.pause(self.scheduling.now(tx))
        tx.schedules.save([schedule])
        return schedule


@dataclass(frozen=True, slots=True)
class ResumeSchedule:
    """Let a paused schedule tick again, from now on."""

    scheduling: Scheduling

    def __call__(self, tx: Transaction, key: str) -> Schedule:
        """Return the schedule; one that is not paused is returned unchanged. What it would have done meanwhile is not
        made up for: see BackfillSchedule. Raises ScheduleNotFound, ScheduleRetired, InvalidSchedule."""
        schedule = _alive(self.scheduling.found(tx, key))
        now = self.scheduling.now(tx)
        schedule.resume(self.scheduling.timetable(schedule), now)
        self.scheduling.remember_waiting(tx, [schedule], now)
        tx.schedules.save([schedule])
        tx.reschedule()
        return schedule


@dataclass(frozen=True, slots=True)
class RunScheduleNow:
    """Enqueue the task of a schedule at once, whatever its plan says, and whether it is paused or not."""

    scheduling: Scheduling

    def __call__(self, tx: Transaction, key: str, *, payload: Any = None) -> WorkerTask:
        """Return the task, whose nominal tick is this moment; *payload*, JSON, takes the place of the schedule's.

        No rule for overlaps holds it back, and later ticks take it for a run before them. Raises ScheduleNotFound,
        ScheduleRetired, and what an enqueue does.
        """
        schedule = _alive(self.scheduling.found(tx, key))
        now = self.scheduling.now(tx)
        run = ScheduleRun(schedule=key, tick=now, state=RunState.FIRED, fired_at=now, kind=RunKind.MANUAL)
        application = self.scheduling.application
        while not tx.schedules.add_runs(application, [run]):  # a tick is due this very microsecond
            run.tick += INSTANT
        new = self.scheduling.task(schedule, run.tick, payload=payload)
        self.scheduling.enqueue.check(new)
        [task] = self.scheduling.enqueue.put(tx, [new])
        run.got(task)
        schedule.fired(run.tick, task.id, now)
        tx.schedules.save_runs(application, [run])
        tx.schedules.save([schedule])
        return task


def _alive(schedule: Schedule) -> Schedule:
    if schedule.retired_at is not None:
        raise ScheduleRetired(schedule.key)
    return schedule
