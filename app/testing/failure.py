"""JobFailed: how a test hears of an attempt that failed while its queue was run."""

from collections.abc import Sequence

from app.domain.errors import QueueError
from app.domain.tasks.events import TaskFailed
from app.domain.tasks.task import WorkerTask


class JobFailed(QueueError, AssertionError):
    """An attempt failed and the test did not say that it may.

    ``task`` is its task after the first failed attempt, ``error`` what the attempt raised, as text; the message has the
    traceback, and names the others that failed.
    """

    def __init__(self, failed: Sequence[TaskFailed]) -> None:
        first = failed[0]
        self.task: WorkerTask = first.task
        self.error = first.error
        told = [f"attempt {first.task.attempts} of task {first.task.type!r} failed: {first.error}"]
        if first.task.errors and first.task.errors[-1].traceback:
            told.append(first.task.errors[-1].traceback.rstrip())
        told += [f"and so did attempt {one.task.attempts} of {one.task.type!r}: {one.error}" for one in failed[1:]]
        told.append("(If that is what the test is about: raises=False.)")
        super().__init__("\n".join(told))
