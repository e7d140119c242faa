"""ClearingRounds: has what the rules of retention keep no longer cleared away, some of it in each round of upkeep."""

import time
from collections.abc import Callable
from typing import NamedTuple

from app.domain.clearing import Cleared, Key
from app.domain.retention_rules import RetentionRules
from app.domain.upkeep import UpkeepForbidden
from app.usecases.clearing import ClearDays
from app.usecases.transaction import UnitOfWork

STEPS = 400
"""Of a round: each is a transaction of some tens of milliseconds."""
PATIENCE = (0.002, 0.01, 0.05, 0.2)
"""Seconds that the tries to get a lock last, each longer than the one before: whoever settles meanwhile waits as long,
and where nobody reads the history for long, the first or the second try gets it."""
PAUSE = 0.1
"""Seconds between these tries, so that those who waited get on."""
REST = 600.0
"""Seconds until a day that was walked to its end is walked again, for what was locked or came meanwhile."""


class Round(NamedTuple):
    """How many tasks a round removed and how many it moved out of the way; ``forbidden`` says what it may not do."""

    removed: int = 0
    moved: int = 0
    forbidden: UpkeepForbidden | None = None


class ClearingRounds:
    """Remembers how far it has come on each day, and goes on there in the next round; after a restart it walks anew."""

    def __init__(self, unit_of_work: UnitOfWork, rules: RetentionRules) -> None:
        self._unit_of_work = unit_of_work
        self._rules = rules
        self._places: dict[Key, int] = {}
        self._resting: dict[Key, float] = {}

    def round(self, wait: Callable[[float], bool] = lambda seconds: False) -> Round:
        """Do a bounded number of steps. *wait* lets seconds pass, and says whether to stop.

        Raises what the database does. What a role that may not drop would have dropped, is deleted.
        """
        removed = moved = 0
        forbidden: UpkeepForbidden | None = None
        if not self._rules:
            return Round()
        now = time.monotonic()
        self._resting = {key: until for key, until in self._resting.items() if now < until}
        passed, tries = set(self._resting), 0
        clear = ClearDays(self._rules)
        for _ in range(STEPS):
            if wait(0):
                break
            try:
                step = self._unit_of_work.run(
                    clear, self._places, passed, may_drop=forbidden is None, patience=PATIENCE[tries]
                )
            except UpkeepForbidden as error:
                if forbidden is not None:
                    raise
                forbidden = error
                continue
            if step is None:
                break
            key, done = step.clearance.key, step.done
            removed, moved = removed + done.removed, moved + done.moved
            if done.is_held_up and tries + 1 < len(PATIENCE):
                tries += 1
                if wait(PAUSE):
                    break
                continue
            tries = 0
            self._note(key, done, passed, now)
        return Round(removed, moved, forbidden)

    def _note(self, key: Key, done: Cleared, passed: set[Key], now: float) -> None:
        if done.place is not None:
            self._places[key] = done.place
            return
        self._places.pop(key, None)
        passed.add(key)
        # What could not be had, the next round tries to get again; what was walked through need not be so soon.
        if not done.is_held_up:
            self._resting[key] = now + REST
