"""TaskHandle: an enqueued task in the hands of whoever enqueued it, with the type of its result."""

from typing import Generic, TypeVar

from app.domain.identifiers import TaskId
from app.domain.jobs.errors import ResultExpired, TaskDidNotComplete
from app.domain.jobs.queue import JobQueue
from app.domain.jobs.schemas import Schema
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask

R_co = TypeVar("R_co", covariant=True)

PATIENCE = 60.0
"""Seconds a result is waited for when nothing is said."""


class TaskHandle(Generic[R_co]):
    """``task`` is the task as it was enqueued, or as it was last looked at.

    ``is_new`` is false when the task was there before, and has the unique key of the one that was asked for.
    """

    __slots__ = ("_queue", "_schema", "is_new", "task")

    def __init__(self, task: WorkerTask, queue: JobQueue, schema: Schema | None) -> None:
        self.task = task
        self.is_new = not isinstance(task, ExistingTask)
        self._queue = queue
        self._schema = schema

    @property
    def id(self) -> TaskId:
        return self.task.id

    def refresh(self) -> WorkerTask:
        """Look at the task. Raises TaskNotFound."""
        self.task = self._queue.find(self.id)
        return self.task

    async def arefresh(self) -> WorkerTask:
        """Like refresh, without blocking the event loop."""
        self.task = await self._queue.afind(self.id)
        return self.task

    def result(self, timeout: float = PATIENCE) -> R_co:
        """What the handler returned, once the task has completed; waited for *timeout* seconds at most.

        Raises TaskNotFinished when it takes longer (with 0: unless it has ended), TaskDidNotComplete when it failed or
        was cancelled, ResultExpired when it is not kept any more, Unfit when what is stored does not fit the result's
        model any more, InvalidInput for a *timeout* that is none, DatabaseUnavailable when the database was away to the
        last, LoopIsRunning in a running event loop: there, use aresult.
        """
        try:
            self.task = self._queue.wait(self.id, timeout)
        except TaskNotFound as error:
            raise ResultExpired(self.id) from error
        return self._result()

    async def aresult(self, timeout: float = PATIENCE) -> R_co:
        """Like result, without blocking the event loop."""
        try:
            self.task = await self._queue.await_(self.id, timeout)
        except TaskNotFound as error:
            raise ResultExpired(self.id) from error
        return self._result()

    def _result(self) -> R_co:
        if self.task.status is not TaskStatus.COMPLETED:
            raise TaskDidNotComplete(self.id, self.task.status, self.task.error)
        if self._schema is None:
            return self.task.result  # type: ignore[no-any-return]  # a job without a result model returns any JSON
        return self._schema.from_json(self.task.result, field="result")  # type: ignore[no-any-return]  # the model's

    def __repr__(self) -> str:
        return f"TaskHandle({self.task.type} {self.id} {self.task.status})"
