"""Clearing: the verb that does one step of it, and the one that only says what would be done."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple

from app.domain.clearing import Clearance, Cleared, Key, clearances
from app.domain.retention_rules import RetentionRules
from app.usecases.transaction import Transaction


class Step(NamedTuple):
    """What was *done* about *clearance*."""

    clearance: Clearance
    done: Cleared


@dataclass(frozen=True, slots=True)
class ClearDays:
    """Get rid of some of what is kept no longer by these rules; a short transaction, to be called again."""

    rules: RetentionRules

    def __call__(
        self, tx: Transaction, places: Mapping[Key, int], passed: Container[Key], *, may_drop: bool, patience: float
    ) -> Step | None:
        """Go one step on, from the place given, with the first clearance that has not *passed*; None when there is
        none, or another worker is at it. Raises UpkeepForbidden where the role may not drop, unless not *may_drop*."""
        if not tx.clearing.try_lock():
            return None
        # After the lock, so that what another one has just cleared is not there any more.
        held = tx.clearing.held(tx.now().astimezone(UTC).date())
        for clearance in clearances(held, self.rules, tx.now(), may_drop=may_drop):
            if clearance.key not in passed:
                done = tx.clearing.clear(clearance, places.get(clearance.key, 0), patience)
                return Step(clearance, done)
        return None


@dataclass(frozen=True, slots=True)
class PreviewRetention:
    """What the rules would have done now, the earliest day first; nothing is."""

    rules: RetentionRules

    def __call__(self, tx: Transaction) -> list[Clearance]:
        if not self.rules:
            return []
        return list(clearances(tx.clearing.held(tx.now().astimezone(UTC).date()), self.rules, tx.now()))
