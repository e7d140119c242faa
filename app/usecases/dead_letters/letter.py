"""One dead letter, in the hands of whoever is about to do something about it."""

from app.domain.dead_letters.errors import NotADeadLetter
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction


def locked_letter(tx: Transaction, task_id: TaskId) -> WorkerTask:
    """Raises InvalidInput, TaskNotFound, NotADeadLetter."""
    task_id = checked_task_id(task_id)
    task = next(iter(tx.tasks.lock([task_id])), None)
    if task is None:
        raise TaskNotFound(task_id)
    if not task.is_dead_letter:
        raise NotADeadLetter(task_id, task.status)
    return task
