"""ScheduleRounds: what is done at each look at schedules, whoever looks: the loop of a worker, or a tick."""

import logging
import time
from collections.abc import Callable, Generator
from typing import Any

from app.domain.errors import DatabaseUnavailable, SchemaMismatch
from app.domain.schedules.errors import SchedulesForbidden
from app.usecases.schedules.fire import FindDue, Fired, FireSchedules, LookAtSchedules
from app.usecases.schedules.reconcile import Definitions, ReconcileSchedules, RepairSchedules
from app.usecases.schedules.trim import TrimRuns

_log = logging.getLogger("app.worker")

REPAIR = 60.0
"""Seconds between looks for what somebody changed by hand."""
TRIM = 3600.0
_BREATH = 0.05
"""Seconds between looks at what is due and cannot be had, because another worker is at it."""

Step = tuple[Any, ...]
"""A use case and its parameters; the answer is sent back, or the error thrown in."""


class ScheduleRounds:
    """Rounds of steps that somebody else takes, each in a transaction: they may block, or be awaited."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._scheduling = definitions.scheduling
        self._look = LookAtSchedules(self._scheduling)
        self._fire = FireSchedules(self._scheduling)
        self._is_reconciled = False
        self._is_warned = False
        self._repair_at = self._trim_at = 0.0

    def check(self) -> None:
        """Look at what the code says, without the database. Raises InvalidSchedule, DuplicateSchedule."""
        self._definitions.check()
        for key in self._definitions.unknown():
            _log.warning("WORKER_SCHEDULES: there is no schedule %r in the code, nothing of it is replaced", key)

    def in_full(self, is_stopping: Callable[[], bool]) -> Generator[Step, Any, float | None]:
        """For who stays: seconds until the next tick, None for never. The first round tells the database what the code
        says; later ones repair what was changed by hand, and forget what is long ago.

        Raises SchedulesForbidden, if the code has schedules."""
        return (yield from self._unless_forbidden(self._in_full(is_stopping)))

    def in_passing(self) -> Generator[Step, Any, float | None]:
        """For who comes and goes: the same, without the keeping up. One statement that reads when nothing is due."""
        return (yield from self._unless_forbidden(self._in_passing()))

    def _unless_forbidden(self, steps: Generator[Step, Any, float | None]) -> Generator[Step, Any, float | None]:
        try:
            return (yield from steps)
        except SchedulesForbidden as error:
            if self._definitions():
                raise
            # Whoever has no schedules needs no rights on them; those made at run time are fired by others.
            if not self._is_warned:
                self._is_warned = True
                _log.warning("No schedule is fired here, and none is in the code: %s", error)
            return None

    def _in_full(self, is_stopping: Callable[[], bool]) -> Generator[Step, Any, float | None]:
        now = time.monotonic()
        if not self._is_reconciled:
            yield from self._reconcile()
            self._repair_at, self._trim_at = now + REPAIR, now
        elif now >= self._trim_at:
            self._trim_at = now + TRIM
            yield (TrimRuns(self._scheduling),)
        if now >= self._repair_at and self._definitions():
            self._repair_at = now + REPAIR
            repaired = yield (RepairSchedules(self._definitions),)
            for key in repaired:
                _log.warning("Schedule %r was changed by hand, and says again what the code says", key)
        return (yield from self._fire_due(is_stopping))

    def _in_passing(self) -> Generator[Step, Any, float | None]:
        if not self._is_reconciled and self._definitions():
            yield from self._reconcile()
        return (yield from self._fire_due(lambda: False))

    def _reconcile(self) -> Generator[Step, Any, None]:
        done = yield (ReconcileSchedules(self._definitions),)
        self._is_reconciled = True
        for what, keys in done._asdict().items():
            if keys:
                _log.info("Schedules %s: %s", what, ", ".join(keys))

    def _fire_due(self, is_stopping: Callable[[], bool]) -> Generator[Step, Any, float | None]:
        wait: float | None = yield (self._look,)
        while wait is not None and wait <= 0 and not is_stopping():
            fired = yield from self._fire_all()
            wait = fired.wait
            if wait == 0 and not fired.keys:
                return _BREATH
        return wait

    def _fire_all(self) -> Generator[Step, Any, Fired]:
        try:
            return (yield (self._fire,))  # type: ignore[no-any-return]  # what a step answers
        except (DatabaseUnavailable, SchemaMismatch, SchedulesForbidden):
            raise
        except Exception:
            # The task of one is refused, and with it all that were due: find it.
            return (yield from self._fire_each())

    def _fire_each(self) -> Generator[Step, Any, Fired]:
        number, keys = 0, (yield (FindDue(self._scheduling),))
        for key in keys:
            try:
                fired = yield (self._fire, [key])
            except (DatabaseUnavailable, SchemaMismatch, SchedulesForbidden):
                raise
            except Exception as error:  # a model's validator, or a unique key's function, may raise anything
                _log.error("The task of schedule %r was refused: %s", key, error)
                fired = yield (self._fire, [key], str(error) or type(error).__name__)
            number += fired.number
        return Fired(number, keys, (yield (self._look,)))
