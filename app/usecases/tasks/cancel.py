"""Cancel: take a task off its queue, or have the attempt that runs it stopped."""

from dataclasses import dataclass

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.events import TaskCancelled
from app.domain.tasks.failures import MAX_MESSAGE, storable
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel a blocked or pending task, or have a running one cancelled."""

    def __call__(self, tx: Transaction, task_id: TaskId, *, reason: str | None = None) -> WorkerTask:
        """Cancel and return the task; one that is cancelled already, or is to be, is returned unchanged.

        A running one stays ``running``, with ``cancel_requested_at``, until its attempt has ended; its worker is told
        at once. From now on it is never run again, and never ends completed. *reason*, a line of text, is kept as the
        task's ``error``. Raises InvalidInput, TaskNotFound, and IllegalTransition when it has completed or failed.
        """
        task_id = checked_task_id(task_id)
        if reason is not None and not isinstance(reason, str):
            raise InvalidInput("reason", reason, "must be text")
        task = next(iter(tx.tasks.lock([task_id])), None)
        if task is None:
            raise TaskNotFound(task_id)
        if task.status is TaskStatus.CANCELLED or task.cancel_requested_at is not None:
            return task
        task.cancel(now=tx.now(), reason=None if reason is None else storable(reason, MAX_MESSAGE))
        tx.tasks.save([task])
        if task.status is TaskStatus.RUNNING:
            tx.interrupt([task.id])
            return task
        if tx.is_waited_for():
            tx.announce([task.id])
        if tx.wants(TaskCancelled):
            tx.record(TaskCancelled(task=task.snapshot(), reason=reason))
        return task
