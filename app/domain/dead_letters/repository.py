"""Where dead letters are kept, said in sets, and what was done about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, Self

from app.domain.dead_letters.actions import ActionId, LetterAction
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.summary import LetterSummary
from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.tasks.task import WorkerTask

MOST_REQUEUES = 2
"""How often a letter is put back on its queue before somebody has to insist."""


class LetterPlace(NamedTuple):
    """A place in the order of deaths: that of the letter which is there, or was."""

    died_at: datetime
    id: TaskId

    @classmethod
    def of(cls, letter: WorkerTask) -> Self:
        """Raises InvalidInput for a task that has not ended."""
        if letter.finished_at is None:
            raise InvalidInput("after", letter.id, "must be a dead letter, or the place of one")
        return cls(letter.finished_at, letter.id)


class Moved(NamedTuple):
    """The letters that a step took off the shelf, oldest first, and the *queues* they went to; *last* is the place of
    the last one, None when there was none."""

    ids: list[TaskId]
    queues: frozenset[str]
    last: LetterPlace | None


class DeadLetters(Protocol):
    """Where they are kept. What is told to skip leaves alone what somebody else is at."""

    def newest(self, wanted: LetterFilter, limit: int, after: LetterPlace | None) -> Sequence[WorkerTask]:
        """Those that are wanted, the latest death first, from behind the place *after*."""
        ...

    def summary(self, wanted: LetterFilter) -> LetterSummary:
        """Groups in the order of type and reason."""
        ...

    def requeue(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None, force: bool) -> Moved:
        """Put *limit* of them at most back on their queues, pending and due, the earliest death first.

        From behind the place *after*. Skips what somebody else is at, and unless *force* those that were requeued
        ``MOST_REQUEUES`` times.
        """
        ...

    def discard(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None) -> Moved:
        """Remove *limit* of them at most, the earliest death first; otherwise as requeue."""
        ...

    def record(self, action: LetterAction) -> None:
        """Keep a new *action*."""
        ...

    def add_up(self, action_id: ActionId, *, done: int) -> LetterAction | None:
        """Raise what an action has done by so many; returns it as it is now, None when there is none."""
        ...

    def end(self, action_id: ActionId, *, skipped: int) -> LetterAction | None:
        """Note that an action is through, and how many it left; returns it as it is now."""
        ...

    def actions(self, limit: int) -> Sequence[LetterAction]:
        """The newest first."""
        ...

    def find_action(self, action_id: ActionId) -> LetterAction | None: ...
