"""JobQueue: what a job reaches once its catalog belongs to a queue."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from app.domain.identifiers import TaskId
from app.domain.jobs.options import After, Before, Middleware, OnError
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Schemas
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask


class Home(Protocol):
    """The catalog that a job belongs to: where it is enqueued, and what is around every job of it."""

    @property
    def queue(self) -> "JobQueue | None": ...

    @property
    def middleware(self) -> tuple[Middleware, ...]: ...

    @property
    def before(self) -> tuple[Before, ...]: ...

    @property
    def after(self) -> tuple[After, ...]: ...

    @property
    def errored(self) -> tuple[OnError, ...]: ...


class JobQueue(Protocol):
    """The verbs of the container that a catalog was built into, as jobs call them."""

    @property
    def schemas(self) -> Schemas: ...

    def enqueue(self, asked: dict[str, Any]) -> WorkerTask:
        """Store the one task that *asked*, parameters of NewTask, describes."""
        ...

    def aenqueue(self, asked: dict[str, Any]) -> Awaitable[WorkerTask]: ...

    def enqueue_in(self, session: Any, asked: dict[str, Any]) -> WorkerTask: ...

    def aenqueue_in(self, session: Any, asked: dict[str, Any]) -> Awaitable[WorkerTask]: ...

    def enqueue_many(self, new: Sequence[NewTask]) -> Sequence[WorkerTask]: ...

    def aenqueue_many(self, new: Sequence[NewTask]) -> Awaitable[Sequence[WorkerTask]]: ...

    def enqueue_many_in(self, session: Any, new: Sequence[NewTask]) -> Sequence[WorkerTask]: ...

    def aenqueue_many_in(self, session: Any, new: Sequence[NewTask]) -> Awaitable[Sequence[WorkerTask]]: ...

    def find(self, task_id: TaskId) -> WorkerTask:
        """Raises TaskNotFound."""
        ...

    def afind(self, task_id: TaskId) -> Awaitable[WorkerTask]: ...

    def wait(self, task_id: TaskId, timeout: float) -> WorkerTask:
        """The task once it has ended. Raises TaskNotFinished, TaskNotFound, InvalidInput, LoopIsRunning."""
        ...

    def await_(self, task_id: TaskId, timeout: float) -> Awaitable[WorkerTask]: ...

    def run(self, type: str, payload: Any, *, persist: bool) -> Outcome[Any]:
        """Run the job of this type here and now."""
        ...

    def arun(self, type: str, payload: Any, *, persist: bool) -> Awaitable[Outcome[Any]]: ...

    def arun_many(
        self, type: str, payloads: Sequence[Any], *, concurrency: int, persist: bool, stop_on_error: bool
    ) -> Awaitable[list[Outcome[Any]]]: ...
