"""Actions: what somebody did about dead letters, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.dead_letters.summary import LetterSummary
from app.domain.identifiers import TaskId
from app.domain.names import checked_name
from app.domain.tasks.status import TaskStatus

WORK = "app:dead-letters"
"""The type of the tasks that work through many letters; a job of the queue's own, which every worker knows."""

ActionId = UUID


class LetterActionKind(StrEnum):
    """What may be done about dead letters."""

    REQUEUE = "requeue"
    DISCARD = "discard"
    PURGE = "purge"
    EXPORT = "export"


class LetterActionState(StrEnum):
    """Where an action stands."""

    DONE = "done"
    WAITING = "waiting"
    """For a worker to take its task."""
    UNDER_WAY = "under way"
    CANCELLED = "cancelled"
    FAILED = "failed"
    GONE = "gone"
    """Its task was removed before it was through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAction:
    """What somebody did about dead letters, or has had begun.

    ``actor`` is who, where they said so; ``filter`` is as LetterFilter writes it. Of ``total`` letters that were meant
    when it was asked, ``done`` are dealt with, and ``skipped`` were left because they had been requeued too often.
    ``task_id`` names the task that goes on with it, where one does, and ``task_status`` is that of it, None
    when there is no such task, or no more. ``ended_at`` is None until all is done.
    """

    id: ActionId
    at: datetime
    kind: LetterActionKind
    actor: str | None
    filter: dict[str, Any]
    total: int
    done: int = 0
    skipped: int = 0
    forced: bool = False
    task_id: TaskId | None = None
    task_status: TaskStatus | None = None
    ended_at: datetime | None = None

    @property
    def state(self) -> LetterActionState:
        """Read from the action and its task together: a task that is cancelled or fails ends its action unfinished."""
        if self.ended_at is not None:
            return LetterActionState.DONE
        if self.task_id is None:
            return LetterActionState.UNDER_WAY
        return _STATES.get(self.task_status, LetterActionState.GONE)


_STATES: dict[TaskStatus | None, LetterActionState] = {
    TaskStatus.BLOCKED: LetterActionState.WAITING,
    TaskStatus.PENDING: LetterActionState.WAITING,
    TaskStatus.RUNNING: LetterActionState.UNDER_WAY,
    TaskStatus.COMPLETED: LetterActionState.DONE,
    TaskStatus.FAILED: LetterActionState.FAILED,
    TaskStatus.CANCELLED: LetterActionState.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterBulk:
    """What came of doing something about many letters: what was meant, and the ``action``, None for a preview.

    Where ``task_id`` is not None, a worker goes on with it.
    """

    summary: LetterSummary
    action: LetterAction | None = None

    @property
    def done(self) -> int:
        return 0 if self.action is None else self.action.done

    @property
    def skipped(self) -> int:
        return self.summary.looping if self.action is None else self.action.skipped

    @property
    def task_id(self) -> TaskId | None:
        return None if self.action is None else self.action.task_id


def checked_actor(value: object) -> str | None:
    """Raises InvalidInput."""
    return None if value is None else checked_name("by", value, wildcard=True)
