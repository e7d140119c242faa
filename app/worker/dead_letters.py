"""LetterWork: the handler that works through many dead letters, chunk by chunk, at the rate that was asked for."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from app.domain.dead_letters.actions import WORK, LetterAction
from app.domain.dead_letters.errors import NoSuchAction
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import LetterPlace
from app.domain.errors import InvalidInput
from app.domain.jobs.answers import PayloadInvalid, Snooze
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import WHOLE, TaskContext
from app.domain.jobs.job import Job
from app.domain.retries import Exponential
from app.usecases.dead_letters.bulk import CHUNK, MAX_ATTEMPTS, CountLeft, EndLetterAction, WorkThroughLetters
from app.usecases.dead_letters.list import FindDeadLetterAction
from app.usecases.transaction import UnitOfWork

TIMEOUT = 30 * 86_400.0
"""Seconds: at a letter a second, two and a half million letters."""
LOOK = 0.5
"""Seconds from one look at whether it should stop to the next, while it waits."""
MOST_LOOKS = 60
"""How often it looks again for letters that somebody else is at, before it leaves them."""


def system_jobs(unit_of_work: Callable[[], UnitOfWork]) -> JobCatalog:
    """The queue's own jobs; *unit_of_work* is asked for when one of them runs."""
    jobs = JobCatalog()
    work = LetterWork(unit_of_work)
    jobs.add(
        Job(
            WORK,
            work.run,
            timeout=TIMEOUT,
            max_attempts=MAX_ATTEMPTS,
            retry=Exponential(first=1, cap=60),
            dead_letter=False,
        )
    )
    return jobs


class LetterWork:
    """What is left is the place to go on from, so that it may be stopped, and killed, at any moment.

    *clock* is in seconds and never goes back; *sleep* waits so many.
    """

    def __init__(
        self,
        unit_of_work: Callable[[], UnitOfWork],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chunk: int = CHUNK,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._clock = clock
        self._sleep = sleep
        self._chunk = chunk

    def run(self, payload: Any, context: TaskContext) -> dict[str, int]:
        """Work through the letters of the action that *payload* names; returns what the action came to.

        Stopped, it gives its task back with no attempt spent.
        """
        action, wanted, rate = self._asked(payload)
        if action.ended_at is None:
            action = self._work_through(action, wanted, rate, context)
        return {"done": action.done, "skipped": action.skipped, "total": action.total}

    def _asked(self, payload: Any) -> tuple[LetterAction, LetterFilter, float | None]:
        try:
            action_id, rate = UUID(payload["action"]), payload["rate"]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise PayloadInvalid("must name an action on dead letters and a rate") from error
        try:
            action = self._unit_of_work().run(FindDeadLetterAction(), action_id)
            return action, LetterFilter.from_json(action.filter), rate
        except (NoSuchAction, InvalidInput) as error:
            raise PayloadInvalid(str(error)) from error

    def _work_through(
        self, action: LetterAction, wanted: LetterFilter, rate: float | None, context: TaskContext
    ) -> LetterAction:
        unit_of_work = self._unit_of_work()
        work = WorkThroughLetters(
            action.id, wanted, self._chunk if rate is None else max(1, min(self._chunk, int(rate)))
        )
        after: LetterPlace | None = None
        looks = 0
        while True:
            began = self._clock()
            step = unit_of_work.run(work, after)
            if step is None:
                raise NoSuchAction(action.id)
            action, moved = step.action, step.moved
            if moved.ids:
                after, looks = moved.last, 0
                _report(context, action)
                self._pause(0.0 if rate is None else began + len(moved.ids) / rate - self._clock(), context)
            elif after is not None:
                after = None  # once more from the front: somebody was at some of them, and may have let them go
            elif looks < MOST_LOOKS and unit_of_work.run(CountLeft(wanted), loops=action.forced):
                looks += 1
                self._pause(LOOK, context)
            else:
                return unit_of_work.run(EndLetterAction(action.id, wanted)) or action

    def _pause(self, seconds: float, context: TaskContext) -> None:
        until = self._clock() + seconds
        while not context.is_shutting_down():
            left = until - self._clock()
            if left <= 0:
                return
            self._sleep(min(left, LOOK))
        raise Snooze(0)


def _report(context: TaskContext, action: LetterAction) -> None:
    percent = WHOLE * action.done / action.total if action.total else WHOLE
    context.progress(min(percent, WHOLE), f"{action.done:,} of {action.total:,} letters")
