"""ExistingTask: a task that was there already, handed to whoever asked for a new one."""

from typing import Self

from app.domain.tasks.task import WorkerTask


class ExistingTask(WorkerTask):
    """What an enqueue returns instead of a new task, when another has its unique key; a WorkerTask in all else.

    A class rather than a field, so that no other task has to carry the answer.
    """

    __slots__ = ()

    @classmethod
    def of(cls, task: WorkerTask) -> Self:
        """A copy of *task*, so marked."""
        existing = task.snapshot()
        existing.__class__ = cls
        return existing  # type: ignore[return-value]  # of this class since the line before
