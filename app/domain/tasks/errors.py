"""Errors about tasks that a caller may want to tell apart."""

from datetime import datetime

from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.tasks.status import TaskStatus, Transition


class TaskNotFound(QueueError, LookupError):
    """No task has this id: it never existed, its transaction was rolled back, or it was cleaned up."""

    def __init__(self, task_id: TaskId) -> None:
        self.task_id = task_id
        super().__init__(f"There is no task {task_id}: it was never committed, or it has been cleaned up")


class IllegalTransition(QueueError):
    """The verb is not allowed in the state the task is in; nothing was changed."""

    def __init__(self, task_id: TaskId, transition: Transition, status: TaskStatus) -> None:
        self.task_id = task_id
        self.verb = transition.verb
        self.status = status
        self.allowed = transition.sources
        allowed = " or ".join(transition.sources)
        super().__init__(f"Cannot {transition.verb} task {task_id}: it is {status}, and must be {allowed}")


class TaskHeld(IllegalTransition):
    """The task runs already, under ``worker_id``; nothing was changed."""

    def __init__(self, task_id: TaskId, worker_id: str | None) -> None:
        super().__init__(task_id, Transition.CLAIM, TaskStatus.RUNNING)
        self.worker_id = worker_id
        self.args = (f"Cannot claim task {task_id}: worker {worker_id} is running it",)


class TaskExpired(IllegalTransition):
    """The task was to be started by ``expires_at``, and has not been; nothing was changed."""

    def __init__(self, task_id: TaskId, expires_at: datetime) -> None:
        super().__init__(task_id, Transition.CLAIM, TaskStatus.PENDING)
        self.expires_at = expires_at
        self.args = (f"Cannot claim task {task_id}: it has expired, it was to be started by {expires_at}",)


class LeaseLost(QueueError):
    """Whoever ran the task fell silent for longer than its lease: the task was taken back, and what came of this
    attempt was not stored."""

    def __init__(self, task_id: TaskId, worker_id: str) -> None:
        self.task_id = task_id
        self.worker_id = worker_id
        super().__init__(f"task {task_id} is no longer {worker_id}'s: its lease was lost, the outcome is dropped")
