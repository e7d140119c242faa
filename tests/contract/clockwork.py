"""Schedules under test: a queue of either adapter, with the verbs of schedules within reach."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.jobs.catalog import JobCatalog
from app.domain.schedules.run import ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.schedules.tick import ScheduledTick
from app.domain.tasks.task import WorkerTask
from app.infra.crons import CronSimCrons
from app.usecases.schedules.backfill import BackfillSchedule
from app.usecases.schedules.create import CreateSchedule, DeleteSchedule
from app.usecases.schedules.fire import Fired, FireSchedules, LookAtSchedules
from app.usecases.schedules.list import GetScheduleHistory, ListSchedules, ScheduleReport
from app.usecases.schedules.once import ScheduleOnce
from app.usecases.schedules.operate import PauseSchedule, ResumeSchedule, RunScheduleNow
from app.usecases.schedules.reconcile import Definitions, Reconciled, ReconcileSchedules, RepairSchedules
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.schedules.trim import TrimRuns
from tests.contract.subject import Queue
from tests.examples import REPORT


def handler(payload: Any, context: Any) -> None: ...


def reports() -> JobCatalog:
    """A catalog with one job and no schedule."""
    jobs = JobCatalog()
    jobs.define(REPORT)(handler)
    return jobs


@dataclass(slots=True)
class Clockwork:
    """One version of one application, and its schedules; every helper is one transaction of its own."""

    queue: Queue
    jobs: JobCatalog = field(default_factory=reports)
    application: str = "default"
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def scheduling(self) -> Scheduling:
        self.queue.jobs = self.jobs
        return Scheduling(self.application, CronSimCrons(), self.queue.enqueueing)

    @property
    def definitions(self) -> Definitions:
        return Definitions(self.scheduling, self.overrides)

    def define(self, key: str = "report", **plan: Any) -> None:
        """In code: not in the database before ``start``."""
        job = self.jobs.get(REPORT)
        assert job is not None
        self.jobs.schedule(job, key=key, **plan)

    def start(self) -> Reconciled:
        """What a worker does when it starts."""
        return self.queue.uow.run(ReconcileSchedules(self.definitions))

    def repair(self) -> list[str]:
        return self.queue.uow.run(RepairSchedules(self.definitions))

    def create(self, key: str = "report", **plan: Any) -> Schedule:
        create = CreateSchedule(self.scheduling)
        return self.queue.uow.run(lambda tx: create(tx, REPORT, key=key, **plan))

    def fire(self, only: Collection[str] | None = None, refused: str | None = None) -> Fired:
        return self.queue.uow.run(FireSchedules(self.scheduling), only, refused)

    def fire_all(self) -> list[str]:
        """Fire until nothing is due; the ticks of all tasks since the beginning, the earliest first."""
        while self.fire().wait == 0:
            pass
        return self.ticks()

    def look_in(self) -> float | None:
        return self.queue.uow.run(LookAtSchedules(self.scheduling))

    def advance(self, seconds: float) -> None:
        self.queue.clock.advance(seconds)

    def pause(self, key: str = "report") -> Schedule:
        return self.queue.uow.run(PauseSchedule(self.scheduling), key)

    def resume(self, key: str = "report") -> Schedule:
        return self.queue.uow.run(ResumeSchedule(self.scheduling), key)

    def delete(self, key: str = "report") -> None:
        self.queue.uow.run(DeleteSchedule(self.scheduling), key)

    def run_now(self, key: str = "report", **asked: Any) -> WorkerTask:
        return self.queue.uow.run(RunScheduleNow(self.scheduling), key, **asked)

    def once(self, *args: Any, **asked: Any) -> WorkerTask:
        once = ScheduleOnce(self.scheduling)
        return self.queue.uow.run(lambda tx: once(tx, REPORT, *args, **asked))

    def backfill(self, since: datetime, until: datetime, key: str = "report", **asked: Any) -> list[WorkerTask]:
        return self.queue.uow.run(BackfillSchedule(self.scheduling), key, since, until, **asked)

    def trim(self, keep: int) -> int:
        return self.queue.uow.run(TrimRuns(self.scheduling, keep))

    def history(self, key: str = "report", limit: int = 10_000) -> list[ScheduleRun]:
        """The earliest first, for reading's sake."""
        return self.queue.uow.run(GetScheduleHistory(self.scheduling), key, limit=limit)[::-1]

    def states(self, key: str = "report") -> list[str]:
        return [f"{run.tick:%H:%M:%S} {run.state}" for run in self.history(key)]

    def reports(self) -> Sequence[ScheduleReport]:
        return self.queue.uow.run(ListSchedules(self.scheduling))

    def report(self, key: str = "report") -> ScheduleReport:
        [found] = [one for one in self.reports() if one.key == key]
        return found

    def stored(self, key: str = "report") -> Schedule:
        def read(tx: Any) -> Any:
            return {one.key: one for one in tx.schedules.all(self.application)}[key]

        found: Schedule = self.queue.uow.run(read)
        return found

    def change_by_hand(self, key: str = "report", **plan: Any) -> None:
        """As somebody does who knows the tables: the fingerprint stays."""

        def change(tx: Any) -> None:
            schedule = tx.schedules.lock(self.application, key)
            schedule.plan = type(schedule.plan).stored(
                **{name: getattr(schedule.plan, name) for name in schedule.plan.__slots__} | plan
            )
            tx.schedules.save([schedule])

        self.queue.uow.run(change)

    def tasks(self) -> list[WorkerTask]:
        """All tasks, by their ticks."""
        return sorted(self.queue.newest(limit=10_000), key=lambda task: (tick_of(task).at, task.id))

    def ticks(self) -> list[str]:
        return [f"{tick_of(task).at:%H:%M:%S}" for task in self.tasks()]

    def end(self, task: WorkerTask | None = None) -> None:
        """Let a worker complete everything that is due."""
        self.queue.register(lease=1e9)
        for claimed in self.queue.claim(limit=1_000):
            self.queue.complete(claimed)


def tick_of(task: WorkerTask) -> ScheduledTick:
    tick = ScheduledTick.of(task.origin)
    assert tick is not None
    return tick


MINUTE = timedelta(minutes=1)
