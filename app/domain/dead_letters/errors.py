"""Errors about dead letters that a caller may want to tell apart."""

from uuid import UUID

from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.tasks.status import TaskStatus


class NotADeadLetter(QueueError):
    """The task is there, and is no dead letter; nothing was changed."""

    def __init__(self, task_id: TaskId, status: TaskStatus) -> None:
        self.task_id = task_id
        self.status = status
        super().__init__(f"Task {task_id} is no dead letter: it is {status}, and is not kept among them")


class DeadLetterLoop(QueueError):
    """The letter came back each of the ``requeues`` times that it was put on its queue; nothing was changed."""

    def __init__(self, task_id: TaskId, requeues: int) -> None:
        self.task_id = task_id
        self.requeues = requeues
        super().__init__(
            f"Dead letter {task_id} was requeued {requeues} times already and has died again each time: mend the cause"
            " and insist with force=True (--force), or discard it"
        )


class NobodyServes(QueueError):
    """So many letters are worked through by a task, and no living worker would take it; nothing was changed."""

    def __init__(self, total: int) -> None:
        self.total = total
        super().__init__(
            f"No worker is alive that would take the task which {total} dead letter(s) need: start one with"
            " `python -m app worker`, do it in this process with --here, or let the task wait for one with --detach"
        )


class NoSuchAction(QueueError, LookupError):
    """No action on dead letters has this id."""

    def __init__(self, action_id: UUID) -> None:
        self.action_id = action_id
        super().__init__(f"There is no action {action_id} on dead letters")
