"""Enqueue: put tasks on their queues."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.domain.errors import InvalidInput
from app.domain.garbage import left_alone
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.events import TaskCreated
from app.domain.tasks.new import NewTask
from app.domain.tasks.repository import Addition
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction

NOTHING: dict[str, Any] = {}
"""The payload when none is given; it is encoded at once, so nobody can put anything in."""


@dataclass(frozen=True, slots=True)
class EnqueueTasks:
    """Put many tasks on their queues, all or none.

    ``max_attempts`` is the settings' default; ``max_payload`` the most bytes a payload may have as JSON.
    """

    needs_transaction: ClassVar[bool] = False
    outlives_its_caller: ClassVar[bool] = True

    jobs: JobCatalog
    new_ids: Callable[[int], list[TaskId]]
    max_attempts: int
    max_payload: int

    def __call__(self, tx: Transaction, new: Iterable[NewTask]) -> list[WorkerTask]:
        """Enqueue *new* and return the tasks in the order given.

        Raises InvalidInput, with nothing stored, for a payload that is too large or an element that is no NewTask.
        """
        if not isinstance(new, Iterable):
            raise InvalidInput("new", new, "must be a list of NewTask")
        additions = self._additions(list(new))
        if not additions:
            return []
        tasks = tx.tasks.add(additions)
        tx.wake({task.queue for task in tasks})
        if tx.wants(TaskCreated):
            for task in tasks:
                tx.record(TaskCreated(task=task.snapshot()))
        return tasks

    @left_alone
    def _additions(self, new: list[NewTask]) -> list[Addition]:
        budgets: dict[str, int] = {}
        additions = []
        for index, (task_id, one) in enumerate(zip(self.new_ids(len(new)), new, strict=True)):
            if not isinstance(one, NewTask):
                raise InvalidInput(f"new[{index}]", one, "must be a NewTask")
            if one.size > self.max_payload:
                rule = f"must be at most {self.max_payload} bytes as JSON, not {one.size}"
                raise InvalidInput("payload", one.payload, rule)
            max_attempts = one.max_attempts
            if max_attempts is None:
                max_attempts = budgets.get(one.type)
                if max_attempts is None:
                    max_attempts = budgets[one.type] = self._budget(one.type)
            additions.append(Addition(task_id, one, max_attempts))
        return additions

    def _budget(self, type: str) -> int:
        job = self.jobs.get(type)
        return (job.max_attempts if job else None) or self.max_attempts


@dataclass(frozen=True, slots=True)
class EnqueueTask:
    """Put one task on its queue."""

    needs_transaction: ClassVar[bool] = False

    enqueue_tasks: EnqueueTasks

    def __call__(
        self,
        tx: Transaction,
        *,
        type: str,
        payload: Any = NOTHING,
        queue: str = "default",
        priority: int = 0,
        max_attempts: int | None = None,
        timeout: float | timedelta | None = None,
        scheduled_at: datetime | None = None,
        delay: float | timedelta | None = None,
        correlation_id: str | None = None,
        tags: Sequence[str] = (),
    ) -> WorkerTask:
        """Parameters as in NewTask. A type that is unknown here may be enqueued: another
        application may know it. Raises InvalidInput, with nothing stored."""
        new = self.prepared(
            type=type,
            payload=payload,
            queue=queue,
            priority=priority,
            max_attempts=max_attempts,
            timeout=timeout,
            scheduled_at=scheduled_at,
            delay=delay,
            correlation_id=correlation_id,
            tags=tags,
        )
        return self.together(tx, [new])[0]

    told_of: ClassVar[tuple[type[TaskCreated], ...]] = (TaskCreated,)

    @staticmethod
    def prepared(*, payload: Any = NOTHING, **asked: Any) -> NewTask:
        """As in Gatherable."""
        return NewTask(payload=payload, **asked)

    def together(self, tx: Transaction, prepared: Sequence[NewTask]) -> Sequence[WorkerTask]:
        """As in Gatherable."""
        return self.enqueue_tasks(tx, prepared)
