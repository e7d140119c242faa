"""Find and list: read tasks back."""

from dataclasses import dataclass
from typing import ClassVar

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.names import checked_name
from app.domain.numbers import checked_whole_number
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.statistics import TaskFilter
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction

MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class FindTask:
    """Read one task by its id."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, task_id: TaskId) -> WorkerTask:
        """Raises TaskNotFound, InvalidInput."""
        task_id = checked_task_id(task_id)
        task = tx.statistics.find(task_id)
        if task is None:
            raise TaskNotFound(task_id)
        return task


@dataclass(frozen=True, slots=True)
class ListTasks:
    """Read the newest tasks that match."""

    needs_transaction: ClassVar[bool] = False

    def __call__(
        self,
        tx: Transaction,
        *,
        status: TaskStatus | str | None = None,
        type: str | None = None,
        queue: str | None = None,
        limit: int = 50,
    ) -> list[WorkerTask]:
        """At most *limit* (1 to 10,000) tasks, newest first; ``*`` in *type* stands for any run of characters.

        Raises InvalidInput, for a status that does not exist too.
        """
        wanted = TaskFilter(
            status=None if status is None else _status(status),
            type=None if type is None else checked_name("type", type, wildcard=True),
            queue=None if queue is None else checked_name("queue", queue),
            limit=checked_whole_number("limit", limit, low=1, high=MAX_LISTED),
        )
        return list(tx.statistics.newest(wanted))


def _status(value: str) -> TaskStatus:
    try:
        return TaskStatus(value)
    except ValueError as error:
        raise InvalidInput("status", value, f"must be one of {', '.join(TaskStatus)}") from error
