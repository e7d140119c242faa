"""Cancel: take a task off its queue before it runs."""

from dataclasses import dataclass

from app.domain.identifiers import TaskId, checked_task_id
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.events import TaskCancelled
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel a blocked or pending task."""

    def __call__(self, tx: Transaction, task_id: TaskId) -> WorkerTask:
        """Cancel and return the task; one that is cancelled already is returned unchanged.

        Raises InvalidInput, TaskNotFound, and IllegalTransition when it is running or finished.
        """
        task_id = checked_task_id(task_id)
        task = next(iter(tx.tasks.lock([task_id])), None)
        if task is None:
            raise TaskNotFound(task_id)
        if task.status is TaskStatus.CANCELLED:
            return task
        task.cancel(now=tx.now())
        tx.tasks.save([task])
        if tx.is_waited_for():
            tx.announce([task.id])
        if tx.wants(TaskCancelled):
            tx.record(TaskCancelled(task=task.snapshot()))
        return task
