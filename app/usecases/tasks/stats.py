"""Stats: how many tasks are in each status, in all or by type or queue."""

from dataclasses import dataclass
from typing import ClassVar

from app.domain.errors import InvalidInput
from app.domain.tasks.statistics import Grouping, GroupStats, TaskStats
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class GetTaskStats:
    """Count the tasks by status."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction) -> TaskStats:
        return tx.statistics.counts()


@dataclass(frozen=True, slots=True)
class GetTaskBreakdown:
    """Count the tasks by status for each type or queue, with how long the completed ones ran."""

    def __call__(self, tx: Transaction, *, by: Grouping | str) -> list[GroupStats]:
        """In the order of their names. Durations (seconds) are up to 9.1 % off, the counts exact.

        Raises InvalidInput unless *by* is ``type`` or ``queue``.
        """
        return list(tx.statistics.breakdown(_grouping(by)))


def _grouping(value: str) -> Grouping:
    try:
        return Grouping(value)
    except ValueError as error:
        raise InvalidInput("by", value, f"must be one of {', '.join(Grouping)}") from error
