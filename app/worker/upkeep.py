"""UpkeepLoop: keeps the storage in shape, from a thread of its own, because a VACUUM may take long."""

import logging
import random
import threading
import time
from collections.abc import Iterable
from typing import Any

from app.domain.jobs.job import Job
from app.domain.upkeep import UpkeepForbidden, Vacuum
from app.usecases.transaction import UnitOfWork
from app.usecases.uniques import ClearUniques
from app.usecases.upkeep import DropDays, FoldTallies, MakeDays
from app.worker.pauses import Pauses
from app.worker.retention import RetentionRounds

_log = logging.getLogger("app.worker")

INTERVAL = 60.0
"""Seconds between two rounds, give or take a fifth, so that many workers do not do them at the same moment."""


MOST_CLEARED = 100
"""Batches of unique keys looked at in one round, as long as they are worth it."""
WORTH = 10
"""One in so many keys must be stale for the next batch to be looked at in the same round."""


class UpkeepLoop:
    """Every worker does it; of those that do it at once, one has something to do.

    ``succeeded_at`` is when a round last went through, by ``time.monotonic()``; None before the first one.
    """

    def __init__(self, unit_of_work: UnitOfWork, vacuum: Vacuum, jobs: Iterable[Job[Any, Any]] = ()) -> None:
        self._unit_of_work = unit_of_work
        self._vacuum = vacuum
        self._retention = RetentionRounds(unit_of_work, jobs)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._forbidden: set[str] = set()
        self._cleared_to = ""
        self.succeeded_at: float | None = None

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
        """Do what is to be done now. Raises what the database does."""
        steps = (
            self._make_days, self._fold, self._clear_uniques, self._remove_unkept, self._drop_days,
            self._vacuum_hot_tables,
        )  # fmt: skip
        for step in steps:
            if self._stopping.is_set():
                return
            try:
                step()
            except UpkeepForbidden as error:
                self._warn_once(str(error))
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
