"""List: what schedules there are, what they did, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.numbers import checked_whole_number
from app.domain.schedules.errors import InvalidSchedule, ScheduleNotFound
from app.domain.schedules.run import RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.schedules.wall import checked_zone
from app.domain.tasks.status import TaskStatus
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction

MAX_LISTED = 10_000
OVERDUE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleReport:
    """A schedule as it is now; ``warnings`` has a sentence for each thing that somebody may want to look at.

    ``state`` is ticking, paused, disabled, retired or over. ``next_ticks`` are nominal.
    """

    key: str
    type: str
    source: str
    plan: str
    timezone: str
    state: str
    next_ticks: tuple[datetime, ...]
    last_tick: datetime | None
    last_fired_at: datetime | None
    last_task_id: TaskId | None
    last_status: TaskStatus | None
    paused_at: datetime | None
    is_overdue: bool
    """Whether it has been due for so long that nobody can be there who fires it."""
    warnings: tuple[str, ...]

    def local(self, tick: datetime) -> datetime:
        """*tick* in the time zone of the schedule; as it is where that is not known here."""
        try:
            return tick.astimezone(checked_zone(self.timezone))
        except InvalidInput:
            return tick


@dataclass(frozen=True, slots=True)
class ListSchedules:
    """Read all schedules of this application."""

    needs_transaction: ClassVar[bool] = False

    scheduling: Scheduling

    def __call__(self, tx: Transaction, *, following: int = 3) -> list[ScheduleReport]:
        """In the order of their keys, each with so many ticks that follow (0 to 100). Raises InvalidInput."""
        checked_whole_number("following", following, low=0, high=100)
        schedules = tx.schedules.all(self.scheduling.application)
        statuses = _statuses(tx, [one.last_task_id for one in schedules])
        runs = {run.schedule: run for run in tx.schedules.latest(self.scheduling.application)}
        now = self.scheduling.now(tx)
        return [self._report(one, statuses, runs.get(one.key), following, now) for one in schedules]

    def _report(
        self,
        schedule: Schedule,
        statuses: Mapping[TaskId, TaskStatus],
        latest: ScheduleRun | None,
        following: int,
        now: datetime,
    ) -> ScheduleReport:
        status = None if schedule.last_task_id is None else statuses.get(schedule.last_task_id)
        next_ticks: list[datetime] = []
        warnings = []
        try:
            timetable = self.scheduling.timetable(schedule)
            tick = schedule.next_tick
            while tick is not None and len(next_ticks) < following:
                next_ticks.append(tick)
                tick = timetable.after(tick)
        except InvalidSchedule as error:
            warnings.append(f"somebody changed it by hand, and it cannot be read: {error.field}: {error.rule}")
        is_overdue = schedule.is_active and schedule.look_at is not None and schedule.look_at < now - OVERDUE
        if is_overdue:
            warnings.append(
                f"due since {schedule.look_at:%Y-%m-%d %H:%M:%S %Z}: no worker of application"
                f" {schedule.application!r} that knows {schedule.type!r} is at work"
            )
        if schedule.type not in self.scheduling.enqueue.jobs:
            warnings.append(f"no job {schedule.type!r} is defined here: other workers fire it")
        if status is TaskStatus.FAILED:
            warnings.append("its last task failed")
        if latest is not None and latest.state not in (RunState.FIRED, RunState.WAITING):
            warnings.append(f"its latest tick was {latest.state}: {latest.reason}")
        if latest is not None and latest.state is RunState.WAITING:
            warnings.append("ticks wait for the run before them to end")
        if schedule.repairs:
            warnings.append(f"changed by hand and repaired, {schedule.repairs} time(s)")
        return ScheduleReport(
            key=schedule.key,
            type=schedule.type,
            source=str(schedule.source),
            plan=str(schedule.plan),
            timezone=schedule.plan.timezone,
            state=_state(schedule),
            next_ticks=tuple(next_ticks),
            last_tick=schedule.last_tick,
            last_fired_at=schedule.last_fired_at,
            last_task_id=schedule.last_task_id,
            last_status=status,
            paused_at=schedule.paused_at,
            is_overdue=is_overdue,
            warnings=tuple(warnings),
        )


@dataclass(frozen=True, slots=True)
class GetScheduleHistory:
    """Read what became of the ticks of a schedule."""

    needs_transaction: ClassVar[bool] = False

    scheduling: Scheduling

    def __call__(self, tx: Transaction, key: str, *, limit: int = 50) -> list[ScheduleRun]:
        """The latest *limit* (1 to 10,000) runs, the latest tick first, with the status that their tasks have now.

        Raises ScheduleNotFound, InvalidInput.
        """
        checked_whole_number("limit", limit, low=1, high=MAX_LISTED)
        application = self.scheduling.application
        if not tx.schedules.all(application, [key]):
            raise ScheduleNotFound(key, application)
        runs = tx.schedules.history(application, key, limit)
        statuses = _statuses(tx, [run.task_id for run in runs])
        return [replace(run, task_status=statuses.get(run.task_id)) if run.task_id else run for run in runs]


def _statuses(tx: Transaction, ids: Iterable[TaskId | None]) -> dict[TaskId, TaskStatus]:
    known = list(dict.fromkeys(task_id for task_id in ids if task_id is not None))
    if not known:
        return {}
    look = tx.results.look(known)
    return {task.id: task.status for task in look.ended} | dict(look.going_on)


def _state(schedule: Schedule) -> str:
    if schedule.retired_at is not None:
        return "retired"
    if schedule.paused_at is not None:
        return "paused"
    if not schedule.plan.enabled:
        return "disabled"
    return "over" if schedule.next_tick is None else "ticking"
