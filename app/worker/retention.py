"""RetentionRounds: has what jobs do not keep removed, some of it in each round of upkeep."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from app.domain.jobs.job import Job
from app.usecases.retention import Key, RemoveSurplus
from app.usecases.transaction import UnitOfWork

STEPS = 100
"""Of a round: each is a transaction of some tens of milliseconds."""
REST = 600.0
"""Seconds until a day that was walked to its end is walked again, for what came to it behind the walker's back."""


class RetentionRounds:
    """Remembers how far it has come on each day, and goes on there in the next round; after a restart it walks anew."""

    def __init__(self, unit_of_work: UnitOfWork, jobs: Iterable[Job[Any, Any]]) -> None:
        self._unit_of_work = unit_of_work
        self._jobs = jobs
        self._places: dict[Key, int] = {}
        self._resting: dict[Key, float] = {}

    def round(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Remove a bounded number of tasks, in turns of the jobs; returns how many. Raises what the database does."""
        keeps = [(job.type, job.keep) for job in self._jobs if job.keep is not None]
        if not keeps:
            return 0
        now = time.monotonic()
        self._resting = {key: until for key, until in self._resting.items() if now < until}
        passed = set(self._resting)
        removed = 0
        for _ in range(STEPS):
            if is_stopping():
                break
            step = self._unit_of_work.run(RemoveSurplus(dict(keeps)), self._places, passed)
            if step is None:
                break
            key, done, days = step
            removed += done.number
            # An earlier day of which nothing is left is not walked again, and there is a new one every day. To this one
            # more may come, behind the place.
            for one in [one for one in self._places if one[1] < key[1] and one[1] not in days.get(one[0], ())]:
                del self._places[one]
            self._places[key] = done.place
            if done.is_over:
                passed.add(key)
            if done.is_end:
                del self._places[key]
                self._resting[key] = now + REST
            keeps.append(keeps.pop(0))  # so that none waits for another's walk to end
        return removed
