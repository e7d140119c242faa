"""Reconcile: make the database say of schedules what the code says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from app.domain.schedules.definition import ScheduleDefinition
from app.domain.schedules.errors import InvalidOverride, InvalidSchedule
from app.domain.schedules.run import RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule, Source
from app.domain.schedules.timetable import EPOCH, Timetable
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction


class Reconciled(NamedTuple):
    """The keys of what was added, changed and retired, and of what was found changed by hand and repaired."""

    added: list[str]
    changed: list[str]
    retired: list[str]
    repaired: list[str]

    @property
    def is_nothing(self) -> bool:
        return not any(self)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The schedules of the code, with what a setting says of them: by key, what replaces parts of the plan."""

    scheduling: Scheduling
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(self) -> list[ScheduleDefinition]:
        """Raises InvalidSchedule, DuplicateSchedule, InvalidOverride."""
        return [
            self._overridden(one) if one.key in self.overrides else one
            for one in self.scheduling.enqueue.jobs.schedules
        ]

    def _overridden(self, one: ScheduleDefinition) -> ScheduleDefinition:
        try:
            return one.overridden(self.overrides[one.key])
        except InvalidSchedule as error:
            raise InvalidOverride(error) from error

    def check(self) -> None:
        """Raises InvalidSchedule for what the database need not be asked about: expressions and payloads, say."""
        for one in self():
            try:
                self.scheduling.defined(one, Source.CODE, EPOCH)
            except InvalidSchedule as error:
                if one.key in self.overrides and error.field in self.overrides[one.key]:
                    raise InvalidOverride(error) from error
                raise

    def unknown(self) -> list[str]:
        """Keys of overrides that override nothing."""
        return sorted(self.overrides.keys() - {one.key for one in self.scheduling.enqueue.jobs.schedules})


@dataclass(frozen=True, slots=True)
class ReconcileSchedules:
    """At the start of a worker: what is new is added, what is different is changed, what is gone is retired.

    One transaction, one worker at a time. Schedules made at run time, those of other applications, and who paused what,
    are left as they are.
    """

    definitions: Definitions

    def __call__(self, tx: Transaction) -> Reconciled:
        """Raises InvalidSchedule, with nothing changed."""
        scheduling = self.definitions.scheduling
        now = scheduling.now(tx)
        wanted = {one.key: scheduling.defined(one, Source.CODE, now) for one in self.definitions()}
        there = {one.key: one for one in tx.schedules.lock_defined(scheduling.application, list(wanted))}
        added = [one for key, one in wanted.items() if key not in there]
        changed: list[Schedule] = []
        repaired: list[Schedule] = []
        passed_over: list[ScheduleRun] = []
        for key, one in wanted.items():
            row = there.get(key)
            if row is None:
                continue
            is_ours = row.fingerprint == one.fingerprint and row.retired_at is None and row.source is Source.CODE
            if is_ours and not row.is_drifted:
                continue
            passed_over += _redefined(row, one, scheduling.timetable(one), now)
            if is_ours:
                row.repairs += 1
            (repaired if is_ours else changed).append(row)
        retired = [
            row
            for key, row in there.items()
            if key not in wanted and row.source is Source.CODE and row.retired_at is None
        ]
        for row in retired:
            row.retire(now)
        if added:
            tx.schedules.add(added)
        if altered := [*changed, *repaired, *retired]:
            scheduling.remember_waiting(tx, altered, now)
            tx.schedules.save(altered)
        if passed_over:
            tx.schedules.add_runs(scheduling.application, passed_over)
        return Reconciled(_keys(added), _keys(changed), _keys(retired), _keys(repaired))


@dataclass(frozen=True, slots=True)
class RepairSchedules:
    """While a worker runs: what somebody changed by hand says again what the code says.

    Only rows with the fingerprint of this very code are touched: while a newer version is being deployed, an older
    worker leaves alone what that one has written, and retired.
    """

    definitions: Definitions

    def __call__(self, tx: Transaction) -> list[str]:
        """The keys of those that were repaired."""
        scheduling = self.definitions.scheduling
        now = scheduling.now(tx)
        ours = {one.key: scheduling.defined(one, Source.CODE, now) for one in self.definitions()}
        # A look without a lock: nearly always all is well, and who fires need not wait for it.
        if not ours or not self._drifted(tx.schedules.all(scheduling.application, list(ours)), ours):
            return []
        repaired = self._drifted(tx.schedules.lock_defined(scheduling.application, list(ours)), ours)
        passed_over: list[ScheduleRun] = []
        for row in repaired:
            passed_over += _redefined(row, ours[row.key], scheduling.timetable(ours[row.key]), now)
            row.repairs += 1
        if repaired:
            scheduling.remember_waiting(tx, repaired, now)
            tx.schedules.save(repaired)
        if passed_over:
            tx.schedules.add_runs(scheduling.application, passed_over)
        return _keys(repaired)

    def _drifted(self, rows: Sequence[Schedule], ours: Mapping[str, Schedule]) -> list[Schedule]:
        return [
            row for row in rows if row.key in ours and row.fingerprint == ours[row.key].fingerprint and row.is_drifted
        ]


def _redefined(row: Schedule, defined: Schedule, timetable: Timetable, now: datetime) -> list[ScheduleRun]:
    """Have *row* say what *defined* does; what has to be noted of ticks that are passed over by that, if any are."""
    tick = row.redefine(defined, timetable, now)
    if tick is None:
        return []
    reason = f"its plan was changed before anybody fired it, or others after it until {now:%Y-%m-%d %H:%M:%S %Z}"
    return [ScheduleRun(schedule=row.key, tick=tick, state=RunState.MISSED, fired_at=now, reason=reason)]


def _keys(schedules: Sequence[Schedule]) -> list[str]:
    return sorted(one.key for one in schedules)
