"""Cleanup: remove what finished long ago."""

from dataclasses import dataclass
from datetime import timedelta

from app.domain.moments import checked_seconds
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class CleanupTasks:
    """Remove completed, failed and cancelled tasks."""

    def __call__(self, tx: Transaction, *, older_than: timedelta | float) -> int:
        """Remove those that finished longer ago than *older_than* (a timedelta, or seconds); returns how many.

        Raises InvalidInput.
        """
        return tx.tasks.remove_finished(checked_seconds("older_than", older_than))
