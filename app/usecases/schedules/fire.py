"""Fire: enqueue the tasks of ticks that have come."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, NamedTuple

from app.domain.identifiers import TaskId
from app.domain.schedules.errors import InvalidSchedule
from app.domain.schedules.misfire import due_ticks
from app.domain.schedules.overlap import Sorted, sort_out, sort_out_waiting
from app.domain.schedules.run import RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.schedules.timetable import Timetable
from app.domain.tasks.errors import IllegalTransition, TaskNotFound
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.tasks.cancel import CancelTask
from app.usecases.transaction import Transaction

BATCH = 100
"""Schedules of one transaction."""
MOST_TICKS = 500
"""Ticks of one transaction, shared by the schedules that are due, of each at least one; the rest is due at once."""


class Fired(NamedTuple):
    """How many tasks were enqueued, for which of the schedules that were due, and in how many seconds to look again.

    ``wait`` is 0 while something is due, and None when nothing ever will be.
    """

    number: int
    keys: list[str]
    wait: float | None


@dataclass(frozen=True, slots=True)
class LookAtSchedules:
    """Ask when a schedule has to be looked at: one statement, which reads."""

    needs_transaction: ClassVar[bool] = False

    scheduling: Scheduling

    def __call__(self, tx: Transaction) -> float | None:
        """Seconds from now; None for never."""
        return tx.schedules.look_in(self.scheduling.known)


@dataclass(frozen=True, slots=True)
class FindDue:
    """Find the schedules that have to be looked at now, and that nobody is at."""

    scheduling: Scheduling
    batch: int = BATCH

    def __call__(self, tx: Transaction) -> list[str]:
        """Their keys, the longest overdue first."""
        return [schedule.key for schedule in tx.schedules.lock_due(self.scheduling.known, self.batch)]


@dataclass(slots=True, eq=False)
class _Case:
    """A schedule that is due, and what becomes of its ticks."""

    schedule: Schedule
    timetable: Timetable
    through: datetime
    runs: list[ScheduleRun] = field(default_factory=list)
    promoted: list[ScheduleRun] = field(default_factory=list)
    """Those that wait no longer."""
    to_cancel: list[TaskId] = field(default_factory=list)
    waiting: int = 0

    @property
    def fires(self) -> bool:
        return any(run.state is RunState.FIRED for run in (*self.runs, *self.promoted))


@dataclass(frozen=True, slots=True)
class FireSchedules:
    """Enqueue one task for each tick that has come, and note what becomes of the others.

    All of it is one short transaction, in which the row of the tick is what counts: who stores it enqueues its task,
    and nobody else ever does. Schedules that another worker is at are left to it.
    """

    scheduling: Scheduling
    batch: int = BATCH

    def __call__(self, tx: Transaction, only: Collection[str] | None = None, refused: str | None = None) -> Fired:
        """Fire what is due, *only* of these keys if any are given. With *refused*, the reason, nothing is enqueued.

        Raises what an enqueue does, for all of them: then they have to be fired one by one.
        """
        now = self.scheduling.now(tx)
        known = self.scheduling.known
        cases, unreadable = self._cases(tx.schedules.lock_due(known, self.batch, only), now)
        self._sort_out(tx, cases, now)
        if refused is not None:
            _refuse(cases, refused)
        cases, held_up = self._held_up(tx, cases)
        number = self._store(tx, cases, now) if cases else 0
        for case in cases:
            case.schedule.advance(case.timetable, case.through, now, waiting=case.waiting > 0)
        for case in held_up:
            case.schedule.postpone(now)
        seen = [case.schedule for case in (*cases, *held_up)]
        if seen or unreadable:
            tx.schedules.save([*unreadable, *seen])
        return Fired(number, [schedule.key for schedule in seen], tx.schedules.look_in(known))

    def _cases(self, schedules: Sequence[Schedule], now: datetime) -> tuple[list[_Case], list[Schedule]]:
        """What is due, and what cannot be read since somebody changed it by hand: that rests until it is repaired."""
        cases, unreadable = [], []
        share = max(1, MOST_TICKS // max(1, len(schedules)))
        for schedule in schedules:
            try:
                cases.append(self._case(schedule, self.scheduling.timetable(schedule), now, share))
            except InvalidSchedule:
                schedule.rest()
                unreadable.append(schedule)
        return cases, unreadable

    def _case(self, schedule: Schedule, timetable: Timetable, now: datetime, share: int) -> _Case:
        schedule.notice_clock(now)
        # A key can be refused to one task and not to the next: then only the one that it is refused to is.
        limit = 1 if self.scheduling.enqueue.is_unique(schedule.type) else share
        due = due_ticks(timetable, schedule.plan.misfire, after=schedule.dealt_with, now=now, limit=limit)
        case = _Case(schedule, timetable, due.through)
        if due.missed is not None:
            until = f"{due.through:%Y-%m-%d %H:%M:%S %Z}"
            reason = f"nobody was there in time, neither for this tick nor for others until {until}"
            case.runs.append(self._run(schedule, due.missed, RunState.MISSED, now, reason))
        case.runs += [self._run(schedule, tick, RunState.FIRED, now) for tick in due.ticks]
        return case

    def _sort_out(self, tx: Transaction, cases: Sequence[_Case], now: datetime) -> None:
        """Look at what waits, whatever the rule is by now, and at the runs before these, where they matter."""
        if not cases:
            return
        application = self.scheduling.application
        waiting: defaultdict[str, list[ScheduleRun]] = defaultdict(list)
        for run in tx.schedules.waiting(application, [case.schedule.key for case in cases]):
            waiting[run.schedule].append(run)
        running: defaultdict[str, list[TaskId]] = defaultdict(list)
        if strict := [case.schedule.key for case in cases if case.schedule.plan.overlap != "allow"]:
            for key, task_id in tx.schedules.running(application, strict):
                running[key].append(task_id)
        for case in cases:
            key, overlap = case.schedule.key, case.schedule.plan.overlap
            queued = waiting[key]
            if queued and overlap == "allow" and self.scheduling.enqueue.is_unique(case.schedule.type):
                overlap = "queue"  # one at a time, as above
            due = [run for run in case.runs if run.state is RunState.FIRED]
            ticks = [run.tick for run in queued]
            waited = sort_out_waiting(overlap, ticks, running=len(running[key]), due=len(due))
            fate = sort_out(overlap, [run.tick for run in due], running=len(running[key]), waiting=len(queued))
            case.promoted = [run for run in queued if run.tick not in waited.waiting]
            for run in case.promoted:
                run.state, run.fired_at = RunState.FIRED, now
            _note(case.promoted, waited)
            _note(due, fate)
            case.waiting = len(waited.waiting) + len(fate.waiting)
            if overlap == "cancel_previous" and case.fires:
                case.to_cancel = running[key]

    def _held_up(self, tx: Transaction, cases: Sequence[_Case]) -> tuple[list[_Case], list[_Case]]:
        """Lock what is to be cancelled; second are the cases in which somebody else has some of that locked.

        Nobody is waited for: whoever has it may take their time, and all schedules of this transaction would wait with
        it.
        """
        wanted = {task_id for case in cases if case.fires for task_id in case.to_cancel}
        if not wanted:
            return list(cases), []
        free = {task.id for task in tx.tasks.lock_free(sorted(wanted))}
        held_up = [case for case in cases if case.fires and not free.issuperset(case.to_cancel)]
        return [case for case in cases if case not in held_up], held_up

    def _store(self, tx: Transaction, cases: Sequence[_Case], now: datetime) -> int:
        application = self.scheduling.application
        runs = [run for case in cases for run in case.runs]
        # What was passed over while the clock was ahead may still come.
        stored = tx.schedules.add_runs(application, runs, (RunState.MISSED,)) if runs else set()
        fired: list[tuple[Schedule, ScheduleRun]] = []
        for case in cases:
            ours = [run for run in case.runs if run.state is RunState.FIRED and (run.schedule, run.tick) in stored]
            if ours:
                self._cancel(tx, case.to_cancel)
            freed = [run for run in case.promoted if run.state is RunState.FIRED]
            fired += [(case.schedule, run) for run in (*freed, *ours)]
        new = [self.scheduling.task_of_tick(schedule, run.tick) for schedule, run in fired]
        for one in new:
            self.scheduling.enqueue.check(one)
        for (schedule, run), task in zip(fired, self.scheduling.enqueue.put(tx, new), strict=True):
            run.got(task)
            schedule.fired(run.tick, task.id, now)
        changed = [run for _, run in fired]
        changed += [run for case in cases for run in case.promoted if run.state is not RunState.FIRED]
        if changed:
            tx.schedules.save_runs(application, changed)
        return len(fired)

    def _cancel(self, tx: Transaction, tasks: Sequence[TaskId]) -> None:
        for task_id in tasks:
            try:
                CancelTask()(tx, task_id)
            except (IllegalTransition, TaskNotFound):
                continue  # it has ended since

    def _run(
        self, schedule: Schedule, tick: datetime, state: RunState, now: datetime, reason: str | None = None
    ) -> ScheduleRun:
        return ScheduleRun(schedule=schedule.key, tick=tick, state=state, fired_at=now, reason=reason)


def _note(runs: Sequence[ScheduleRun], fate: Sorted) -> None:
    """Have *runs*, which would be fired, wait or be skipped by their *fate*."""
    reasons = dict(fate.skipped)
    for run in runs:
        if run.tick in reasons:
            run.state, run.reason = RunState.SKIPPED, reasons[run.tick]
        elif run.tick in fate.waiting:
            run.state = RunState.WAITING


def _refuse(cases: Sequence[_Case], reason: str) -> None:
    """Have nothing of *cases* enqueued."""
    for case in cases:
        for run in (*case.runs, *case.promoted):
            if run.state is RunState.FIRED:
                run.state, run.reason = RunState.REFUSED, reason
