"""Retention: the verb that removes one piece of what jobs do not keep."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from app.domain.jobs.keep import Keep
from app.domain.retention import Removed, surpluses
from app.usecases.transaction import Transaction

Key = tuple[str, date, str]


class Step(NamedTuple):
    """What was *done* about the surplus *key*; of each type, the *days* on which tasks of it have ended."""

    key: Key
    done: Removed
    days: Mapping[str, Container[date]]


@dataclass(frozen=True, slots=True)
class RemoveSurplus:
    """Remove some of what jobs with such *keeps*, by type, keep no longer; a short transaction, to be called again."""

    keeps: Mapping[str, Keep]

    def __call__(self, tx: Transaction, places: Mapping[Key, int], passed: Container[Key]) -> Step | None:
        """Go one step on, from the place given, with the first surplus that has not *passed*; None when there is none,
        or another worker is at it."""
        ended = tx.retention.ended_by_day(list(self.keeps))
        for type, keep in self.keeps.items():
            for surplus in surpluses(type, keep, ended.get(type, ()), tx.now()):
                if surplus.key not in passed:
                    days = {type: {day for day, _ in listed} for type, listed in ended.items()}
                    return Step(surplus.key, tx.retention.remove(surplus, places.get(surplus.key, 0)), days)
        return None
