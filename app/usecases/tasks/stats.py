"""Stats: how many tasks are in each status."""

from dataclasses import dataclass
from typing import ClassVar

from app.domain.tasks.statistics import TaskStats
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class GetTaskStats:
    """Count the tasks by status."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction) -> TaskStats:
        return tx.statistics.counts()
