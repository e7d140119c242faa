"""Retention: the verb that removes one piece of what jobs do not keep."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date

from app.domain.jobs.keep import Keep
from app.domain.retention import Removed, surpluses
from app.usecases.transaction import Transaction

Key = tuple[str, date, str]


@dataclass(frozen=True, slots=True)
class RemoveSurplus:
    """Remove some of what jobs with such *keeps*, by type, keep no longer; a short transaction, to be called again."""

    keeps: Mapping[str, Keep]

    def __call__(
        self, tx: Transaction, places: Mapping[Key, int], passed: Container[Key]
    ) -> tuple[Key, Removed] | None:
        """Go one step on, from the place given, with the first surplus that has not *passed*; None when there is none,
        or another worker is at it."""
        ended = tx.retention.ended_by_day(list(self.keeps))
        for type, keep in self.keeps.items():
            for surplus in surpluses(type, keep, ended.get(type, ()), tx.now()):
                if surplus.key not in passed:
                    return surplus.key, tx.retention.remove(surplus, places.get(surplus.key, 0))
        return None
