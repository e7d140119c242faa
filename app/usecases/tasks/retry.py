"""Retry: make a failed or cancelled task due again, by hand."""

from dataclasses import dataclass

from app.domain.identifiers import TaskId, checked_task_id
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.events import TaskRetried
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class RetryTask:
    """Put a failed or cancelled task back on its queue, due now."""

    def __call__(self, tx: Transaction, task_id: TaskId, *, reset_attempts: bool = False) -> WorkerTask:
        """Return the pending task. Without *reset_attempts* it is granted one more
        attempt where its budget is spent, and keeps what is left of it where it is not.

        Raises InvalidInput, TaskNotFound, and IllegalTransition in any other state.
        """
        task_id = checked_task_id(task_id)
        task = next(iter(tx.tasks.lock([task_id])), None)
        if task is None:
            raise TaskNotFound(task_id)
        task.retry(reset_attempts=reset_attempts, now=tx.now())
        tx.tasks.save([task])
        tx.wake([task.queue])
        if tx.wants(TaskRetried):
            tx.record(TaskRetried(task=task.snapshot(), manual=True))
        return task
