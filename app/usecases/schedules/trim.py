"""Trim: forget what became of ticks long ago."""

from dataclasses import dataclass

from app.usecases.schedules.scheduling import Scheduling
from app.usecases.transaction import Transaction

KEPT = 10_000
"""Runs of a schedule that are remembered: a week of one that ticks each minute."""


@dataclass(frozen=True, slots=True)
class TrimRuns:
    """Keep the latest runs of each schedule. Of those that go is kept that none of their ticks is fired again."""

    scheduling: Scheduling
    keep: int = KEPT

    def __call__(self, tx: Transaction) -> int:
        """How many were forgotten."""
        return tx.schedules.trim(self.scheduling.application, self.keep)
