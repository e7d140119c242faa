"""Backfill: enqueue the tasks of ticks that are over and have none."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import InvalidInput
from app.domain.moments import checked_moment
from app.domain.numbers import checked_whole_number
from app.domain.schedules.run import NEVER_RUN, RunKind, RunState, ScheduleRun
from app.domain.schedules.timetable import INSTANT
from app.domain.tasks.task import WorkerTask
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction

MOST = 10_000


@dataclass(frozen=True, slots=True)
class BackfillSchedule:
    """Enqueue one task for each tick of a time that has none yet: because there was no worker, or no schedule.

    The tasks are due at once and know that they are a backfill (``context.tick.is_backfill``). No rule for overlaps
    holds them back, and later ticks do not wait for them.
    """

    scheduling: Scheduling

    def __call__(
        self, tx: Transaction, key: str, since: datetime, until: datetime, *, limit: int = MOST
    ) -> list[WorkerTask]:
        """For the ticks from *since* on and before *until*; the tasks in the order of the ticks.

        All or none. Raises ScheduleNotFound, and InvalidInput when there are more than *limit*, when *until* is not
        over yet, and when *since* lies before what is remembered of the schedule: whether a tick of that time had a
        task nobody knows any more.
        """
        since, until = checked_moment("since", since), checked_moment("until", until)
        checked_whole_number("limit", limit, low=1)
        schedule = self.scheduling.found(tx, key)
        now = self.scheduling.now(tx)
        if since >= until:
            raise InvalidInput("until", until, f"must be later than the beginning, {since:%Y-%m-%d %H:%M:%S %Z}")
        if until > now:
            raise InvalidInput("until", until, f"must be over: it is {now:%Y-%m-%d %H:%M:%S %Z}")
        if schedule.trimmed_to is not None and since <= schedule.trimmed_to:
            rule = f"must be later than {schedule.trimmed_to:%Y-%m-%d %H:%M:%S %Z}, up to where history is forgotten"
            raise InvalidInput("since", since, rule)
        runs: list[ScheduleRun] = []
        timetable = self.scheduling.timetable(schedule)
        tick = timetable.after(since - INSTANT)
        while tick is not None and tick < until:
            if len(runs) == limit:
                rule = f"holds more than {limit:,} ticks of schedule {key!r}: take a shorter time, or raise the limit"
                raise InvalidInput("until", until, rule)
            runs.append(ScheduleRun(schedule=key, tick=tick, state=RunState.FIRED, fired_at=now, kind=RunKind.BACKFILL))
            tick = timetable.after(tick)
        application = self.scheduling.application
        stored = tx.schedules.add_runs(application, runs, NEVER_RUN) if runs else set()
        ours = [run for run in runs if (key, run.tick) in stored]
        new = [self.scheduling.task(schedule, run.tick, is_backfill=True) for run in ours]
        for one in new[:1]:  # they differ in their ticks alone
            self.scheduling.enqueue.check(one)
        tasks = self.scheduling.enqueue.put(tx, new)
        for run, task in zip(ours, tasks, strict=True):
            run.got(task)
        if ours:
            tx.schedules.save_runs(application, ours)
        return tasks
