"""UpkeepLoop: keeps the storage in shape, from a thread of its own, because a VACUUM may take long."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from app.domain.errors import DatabaseUnavailable, QueueError
from app.domain.jobs.job import Job
from app.domain.retention_rules import KEEP_ALL, RetentionRules
from app.domain.upkeep import StepDone, UpkeepForbidden, Vacuum
from app.usecases.dead_letters.discard import PurgeSomeLetters
from app.usecases.transaction import UnitOfWork
from app.usecases.uniques import ClearUniques
from app.usecases.upkeep import DropDays, FoldTallies, MakeDays, NoteUpkeep
from app.worker.clearing import ClearingRounds
from app.worker.pauses import Pauses
from app.worker.retention import RetentionRounds

_log = logging.getLogger("app.worker")

INTERVAL = 60.0
"""Seconds between two rounds, give or take a fifth, so that many workers do not do them at the same moment."""


MOST_CLEARED = 100
"""Batches of unique keys looked at in one round, as long as they are worth it."""
MOST_PURGED = 50
"""Batches of dead letters removed in one round."""
WORTH = 10
"""One in so many keys must be stale for the next batch to be looked at in the same round."""


@dataclass(frozen=True, slots=True)
class StepState:
    """When a step of the upkeep last went through, by this machine's clock, and what was in its way since."""

    succeeded_at: datetime | None = None
    error: str | None = None


class UpkeepLoop:
    """Every worker does it; of those that do it at once, one has something to do.

    ``succeeded_at`` is when a round last went through, by ``time.monotonic()``; None before the first one.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        vacuum: Vacuum,
        jobs: Iterable[Job[Any, Any]] = (),
        rules: RetentionRules = KEEP_ALL,
        *,
        dead_letter_ttl: float | None = None,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._vacuum = vacuum
        self._retention = RetentionRounds(unit_of_work, jobs)
        self._clearing = ClearingRounds(unit_of_work, rules)
        self._purge = None if dead_letter_ttl is None else PurgeSomeLetters(dead_letter_ttl)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._forbidden: set[str] = set()
        self._cleared_to = ""
        self._steps: dict[str, Callable[[], None]] = {
            "make days": self._make_days,
            "fold tallies": self._fold,
            "clear unique keys": self._clear_uniques,
            "remove what jobs do not keep": self._remove_unkept,
            "clear days": self._clear_days,
            "purge dead letters": self._purge_letters,
            "drop empty days": self._drop_days,
            "vacuum": self._vacuum_hot_tables,
        }
        self._states = {name: StepState() for name in self._steps}
        self.succeeded_at: float | None = None

    @property
    def steps(self) -> Mapping[str, StepState]:
        """How each step of a round is doing."""
        return MappingProxyType(self._states)

    def start(self) -> None:
        """The first round begins at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="app-upkeep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Waits a second at most: a VACUUM under way ends by itself, or with the process."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def round(self) -> None:
        """Do what is to be done now. A step that fails does not keep the others from being done, unless the database
        is away; then raises what the first one raised."""
        failure: Exception | None = None
        done: list[StepDone] = []
        for name, step in self._steps.items():
            if self._stopping.is_set():
                return
            try:
                step()
                self._states[name] = StepState(datetime.now(UTC))
                done.append(StepDone(name, True))
            except UpkeepForbidden as error:
                self._states[name] = StepState(self._states[name].succeeded_at, str(error))
                done.append(StepDone(name, True, str(error)))
                self._warn_once(str(error))
            except Exception as error:
                self._states[name] = StepState(self._states[name].succeeded_at, str(error) or type(error).__name__)
                if isinstance(error, DatabaseUnavailable):
                    raise
                done.append(StepDone(name, False, self._states[name].error))
                if failure is not None:
                    _log.warning("Upkeep: another step failed, %s: %s", name, error)
                failure = failure or error
        try:
            self._unit_of_work.run(NoteUpkeep(), done)
        except DatabaseUnavailable:
            raise
        except QueueError as error:  # of a role that was never granted it: all that matters is done
            self._warn_once(str(error))
        if failure is not None:
            raise failure
        self.succeeded_at = time.monotonic()

    def _run(self) -> None:
        pauses = Pauses("Upkeep")
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self.round()
                pauses.succeeded()
                pause = INTERVAL * random.uniform(0.8, 1.2)
            except Exception as error:  # an upkeep that ends would leave the queue to grow slower by the day
                pause = pauses.failed(error)

    def _make_days(self) -> None:
        if days := self._unit_of_work.run(MakeDays()):
            _log.info("Made partitions for what finishes on %s", ", ".join(map(str, days)))

    def _fold(self) -> None:
        self._unit_of_work.run(FoldTallies())

    def _clear_uniques(self) -> None:
        for _ in range(MOST_CLEARED):
            cleared = self._unit_of_work.run(ClearUniques(), self._cleared_to)
            self._cleared_to = cleared.last
            if self._stopping.is_set() or not cleared.last or cleared.removed * WORTH < cleared.seen:
                return

    def _remove_unkept(self) -> None:
        if removed := self._retention.round(self._stopping.is_set):
            _log.info("Removed %d ended task(s) that their jobs keep no longer", removed)

    def _clear_days(self) -> None:
        done = self._clearing.round(self._stopping.wait)
        if done.removed:
            _log.info("Removed %d ended task(s) that are kept no longer", done.removed)
        if done.moved:
            _log.info("Moved %d ended task(s) out of days that are to go", done.moved)
        if done.forbidden is not None:
            raise done.forbidden

    def _purge_letters(self) -> None:
        if self._purge is None:
            return
        total, action_id = 0, None
        for _ in range(MOST_PURGED):
            removed, action_id = self._unit_of_work.run(self._purge, action_id)
            total += removed
            if self._stopping.is_set() or removed < self._purge.batch:
                break
        if total:
            _log.info("Removed %d dead letter(s) that are too old", total)

    def _drop_days(self) -> None:
        if days := self._unit_of_work.run(DropDays()):
            _log.info("Dropped the empty partitions of %s", ", ".join(map(str, days)))

    def _vacuum_hot_tables(self) -> None:
        if tables := self._vacuum.vacuum_if_late():
            _log.info("Vacuumed %s, for autovacuum was late", ", ".join(tables))

    def _warn_once(self, message: str) -> None:
        if message not in self._forbidden:
            self._forbidden.add(message)
            _log.warning("Upkeep: %s", message)
