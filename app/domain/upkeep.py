"""Upkeep: what keeps the storage in shape while tasks come and go; nothing that is promised waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from app.domain.errors import QueueError

DAYS_AHEAD = 3
"""So that an upkeep which does not run for a long weekend is not missed."""


class UpkeepForbidden(QueueError):
    """The role may not do this part of the upkeep; ``table`` says whose owner could."""

    def __init__(self, what: str, table: str) -> None:
        self.what = what
        self.table = table
        super().__init__(f"The database role may not {what}: only the owner of {table} may")


@dataclass(frozen=True, slots=True)
class StepDone:
    """That a *step* of the upkeep was tried: whether it went through, and what is to be said of it otherwise.

    One that the role may not do has gone through, and says so.
    """

    step: str
    succeeded: bool
    error: str | None = None


class Upkeep(Protocol):
    """What is done within a transaction. Of several that try at once one does it, the others do nothing."""

    def make_days(self, ahead: int) -> Sequence[date]:
        """Make room for what finishes today and on the days *ahead* (UTC); returns the days that are new.

        A day for which room cannot be had now is left for the next time: what finishes on it has a place all the same.
        Raises UpkeepForbidden.
        """
        ...

    def drop_days(self) -> Sequence[date]:
        """Give up the room of past days of which nothing is left; returns these days. Raises UpkeepForbidden."""
        ...

    def note(self, done: Sequence[StepDone]) -> None:
        """Remember how the steps of a round went."""
        ...

    def fold_tallies(self) -> int:
        """Make the counts of what is finished cheap to read again; returns how many entries were folded."""
        ...


class Vacuum(Protocol):
    """What no transaction may contain."""

    def vacuum_if_late(self) -> Sequence[str]:
        """Clear away dead rows where that is overdue; returns of which tables. Raises UpkeepForbidden."""
        ...
