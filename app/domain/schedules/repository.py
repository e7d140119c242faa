"""Where schedules and their runs are kept, said in sets."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from app.domain.identifiers import TaskId
from app.domain.schedules.run import RunState, ScheduleRun
from app.domain.schedules.schedule import Schedule


class Known(NamedTuple):
    """Whose schedules somebody can fire: those of one application, of these types up to these versions."""

    application: str
    types: tuple[str, ...]
    versions: tuple[int, ...] = ()
    """Of each type; empty when all are in their first."""


class Schedules(Protocol):
    """All of it is about one application at a time, named in each call."""

    def look_in(self, known: Known) -> float | None:
        """Seconds until a schedule has to be looked at: 0 if now, also when the clock was put back; None for never."""
        ...

    def lock_due(self, known: Known, limit: int, only: Collection[str] | None = None) -> list[Schedule]:
        """Schedules that have to be looked at now, locked until the transaction ends, the longest overdue first.

        Those that somebody else has locked are skipped. *Only* these keys, if there are any given.
        """
        ...

    def lock_defined(self, application: str, keys: Sequence[str]) -> list[Schedule]:
        """Those that code defines, or did, and those of these keys, locked; nobody else who calls this gets on until
        the transaction ends."""
        ...

    def lock(self, application: str, key: str) -> Schedule | None:
        """One of them, locked."""
        ...

    def all(self, application: str, keys: Sequence[str] | None = None) -> list[Schedule]:
        """In the order of their keys; only these, if any are given."""
        ...

    def add(self, schedules: Sequence[Schedule]) -> list[str]:
        """Store new ones; returns the keys of those that were not there before."""
        ...

    def save(self, schedules: Sequence[Schedule]) -> None:
        """Store what has changed of schedules that are locked."""
        ...

    def remove(self, application: str, key: str) -> None:
        """Forget a schedule, and its history."""
        ...

    def add_runs(
        self, application: str, runs: Sequence[ScheduleRun], taking_over: Collection[RunState] = ()
    ) -> set[tuple[str, datetime]]:
        """Store what becomes of ticks; returns the schedule and the tick of those that were stored.

        There is one run of a tick, so a second is not stored; unless the first one is in one of these states, and has
        no task.
        """
        ...

    def save_runs(self, application: str, runs: Sequence[ScheduleRun]) -> None:
        """Store what has changed of runs of schedules that are locked."""
        ...

    def waiting(self, application: str, keys: Sequence[str]) -> list[ScheduleRun]:
        """The waiting runs of these schedules, by schedule, the earliest first."""
        ...

    def running(self, application: str, keys: Sequence[str]) -> list[tuple[str, TaskId]]:
        """The tasks of the latest runs of these schedules that have not ended, with the schedule; no backfills.

        Neither those that were not started in time, and have only to be noted as expired. What is to be cancelled, and
        still runs, has not ended.
        """
        ...

    def latest(self, application: str) -> list[ScheduleRun]:
        """The run of the latest tick of each schedule that has any, as in ``history``; no manual ones, no backfills."""
        ...

    def history(self, application: str, key: str, limit: int) -> list[ScheduleRun]:
        """The latest runs, the latest first, without the status of their tasks."""
        ...

    def trim(self, application: str, keep: int) -> int:
        """Forget all but the latest *keep* runs of each schedule, and note how far; returns how many.

        Those that wait, and those of ticks that are still to come, are kept.
        """
        ...
