"""MemorySchedules: schedules and their runs kept in memory."""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from app.domain.identifiers import TaskId
from app.domain.schedules.repository import Known
from app.domain.schedules.run import RunKind, RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule, Source
from app.domain.tasks.status import NOT_BEGUN
from app.infra.memory.store import Draft


class MemorySchedules:
    """Implements Schedules; whoever is in the store is alone there, which is as good as a lock."""

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def look_in(self, known: Known) -> float | None:
        ticking = list(self._ticking(known))
        if any(one.is_ahead_of(self._now()) for one in ticking):
            return 0.0
        earliest = min((one.look_at for one in ticking if one.look_at is not None), default=None)
        return None if earliest is None else max(0.0, (earliest - self._now()).total_seconds())

    def lock_due(self, known: Known, limit: int, only: Collection[str] | None = None) -> list[Schedule]:
        now = self._now()
        due = [
            (one.look_at, one)
            for one in self._ticking(known)
            if one.look_at is not None
            and (one.look_at <= now or one.is_ahead_of(now))
            and (not only or one.key in only)
        ]
        return [copy.copy(one) for _, one in sorted(due, key=lambda pair: (pair[0], pair[1].key))[:limit]]

    def lock_defined(self, application: str, keys: Sequence[str]) -> list[Schedule]:
        return [one for one in self.all(application) if one.source is Source.CODE or one.key in keys]

    def lock(self, application: str, key: str) -> Schedule | None:
        return copy.copy(self._draft.schedules.get((application, key)))

    def all(self, application: str, keys: Sequence[str] | None = None) -> list[Schedule]:
        ours = (one for one in self._draft.schedules.values() if one.application == application)
        return sorted((copy.copy(one) for one in ours if keys is None or one.key in keys), key=lambda one: one.key)

    def add(self, schedules: Sequence[Schedule]) -> list[str]:
        new = [one for one in schedules if self._draft.schedules.get((one.application, one.key)) is None]
        self.save(new)
        return [one.key for one in new]

    def save(self, schedules: Sequence[Schedule]) -> None:
        for one in schedules:
            self._draft.schedules.put((one.application, one.key), copy.copy(one))

    def remove(self, application: str, key: str) -> None:
        for run in list(self._runs(application, key)):
            self._draft.ticks.put((application, key, run.tick), None)
        self._draft.schedules.put((application, key), None)

    def add_runs(
        self, application: str, runs: Sequence[ScheduleRun], taking_over: Collection[RunState] = ()
    ) -> set[tuple[str, datetime]]:
        added = set()
        for run in runs:
            there = self._draft.ticks.get((application, run.schedule, run.tick))
            if there is None or (there.state in taking_over and there.task_id is None):
                self.save_runs(application, [run])
                added.add((run.schedule, run.tick))
        return added

    def save_runs(self, application: str, runs: Sequence[ScheduleRun]) -> None:
        for run in runs:
            self._draft.ticks.put((application, run.schedule, run.tick), copy.copy(run))

    def waiting(self, application: str, keys: Sequence[str]) -> list[ScheduleRun]:
        waiting = [
            copy.copy(run) for key in keys for run in self._runs(application, key) if run.state is RunState.WAITING
        ]
        return sorted(waiting, key=lambda run: (run.schedule, run.tick))

    def running(self, application: str, keys: Sequence[str]) -> list[tuple[str, TaskId]]:
        found = []
        for key in keys:
            for run in self._runs(application, key):
                task = None if run.task_id is None else self._draft.tasks.get(run.task_id)
                if task is None or task.status.is_final or run.kind is RunKind.BACKFILL:
                    continue
                if task.status not in NOT_BEGUN or not task.has_expired(now=self._now()):
                    found.append((key, task.id))
        return found

    def latest(self, application: str) -> list[ScheduleRun]:
        found: dict[str, ScheduleRun] = {}
        for (owner, key, tick), run in self._all_runs():
            is_later = key not in found or tick > found[key].tick
            if owner == application and run.kind is RunKind.TICK and is_later:
                found[key] = copy.copy(run)
        return list(found.values())

    def history(self, application: str, key: str, limit: int) -> list[ScheduleRun]:
        runs = sorted(self._runs(application, key), key=lambda run: run.tick, reverse=True)
        return [copy.copy(run) for run in runs[:limit]]

    def trim(self, application: str, keep: int) -> int:
        trimmed = 0
        for schedule in self.all(application):
            gone = self.history(application, schedule.key, limit=len(list(self._all_runs())))[keep:]
            if not gone or gone[0].tick > self._now():
                continue
            schedule.trimmed_to = max(gone[0].tick, schedule.trimmed_to or gone[0].tick)
            self.save([schedule])
            for run in gone:
                if run.state is not RunState.WAITING:
                    self._draft.ticks.put((application, schedule.key, run.tick), None)
                    trimmed += 1
        return trimmed

    def _ticking(self, known: Known) -> Iterator[Schedule]:
        versions = dict(zip(known.types, known.versions or [1] * len(known.types), strict=True))
        for one in self._draft.schedules.values():
            is_ours = one.application == known.application and one.look_at is not None
            if is_ours and one.version <= versions.get(one.type, 0):
                yield one

    def _runs(self, application: str, key: str) -> Iterator[ScheduleRun]:
        return (run for (owner, schedule, _), run in self._all_runs() if (owner, schedule) == (application, key))

    def _all_runs(self) -> Iterator[tuple[tuple[str, str, datetime], ScheduleRun]]:
        return self._draft.ticks.items()
