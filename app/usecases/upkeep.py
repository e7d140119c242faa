"""The verbs of upkeep, each a short transaction of its own, so that none holds its locks while another works."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.domain.upkeep import DAYS_AHEAD, StepDone
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class MakeDays:
    """Make room for what finishes today and on the days ahead."""

    ahead: int = DAYS_AHEAD

    def __call__(self, tx: Transaction) -> Sequence[date]:
        """Raises UpkeepForbidden."""
        return tx.upkeep.make_days(self.ahead)


@dataclass(frozen=True, slots=True)
class DropDays:
    """Give up the room of days of which nothing is left."""

    def __call__(self, tx: Transaction) -> Sequence[date]:
        """Raises UpkeepForbidden."""
        return tx.upkeep.drop_days()


@dataclass(frozen=True, slots=True)
class FoldTallies:
    """Keep the counts cheap to read."""

    def __call__(self, tx: Transaction) -> int:
        return tx.upkeep.fold_tallies()


@dataclass(frozen=True, slots=True)
class NoteUpkeep:
    """Remember how a round went, for whoever checks."""

    def __call__(self, tx: Transaction, done: Sequence[StepDone]) -> None:
        tx.upkeep.note(done)
