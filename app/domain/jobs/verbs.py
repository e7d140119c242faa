"""Verbs of a job: what an application does with one, by way of the queue that its catalog belongs to."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, Unpack

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.jobs.handle import TaskHandle
from app.domain.jobs.options import EnqueueOptions
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.queue import JobQueue
from app.domain.numbers import checked_whole_number
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask

P = TypeVar("P")
R = TypeVar("R")


class JobVerbs(ABC, Generic[P, R]):
    """Enqueue, run, and all of it for many; each with its forms for threads, event loops and sessions.

    Beside what is said of each, all raise CatalogNotBound, Unfit for a payload that is no instance of the job's model,
    InvalidInput for an option that is not allowed, DatabaseUnavailable and SchemaMismatch; nothing is stored then.
    """

    type: str

    @property
    @abstractmethod
    def bound_to(self) -> JobQueue:
        """Raises CatalogNotBound."""
        ...

    @abstractmethod
    def asked(self, payload: P, options: EnqueueOptions) -> dict[str, Any]:
        """The parameters of NewTask for one task of this job."""
        ...

    @abstractmethod
    def handle(self, task: WorkerTask) -> TaskHandle[R]:
        """*task* in the hands of whoever waits for its result."""
        ...

    def enqueue(self, payload: P, **options: Unpack[EnqueueOptions]) -> TaskHandle[R]:
        """Put one task on its queue, in a transaction of its own. Options as in NewTask."""
        return self.handle(self.bound_to.enqueue(self.asked(payload, options)))

    async def aenqueue(self, payload: P, **options: Unpack[EnqueueOptions]) -> TaskHandle[R]:
        """Like enqueue, without blocking the event loop."""
        return self.handle(await self.bound_to.aenqueue(self.asked(payload, options)))

    def enqueue_in(self, session: Any, payload: P, **options: Unpack[EnqueueOptions]) -> TaskHandle[R]:
        """Like enqueue, in the transaction of the caller's Session or Connection: see Bound.execute_in."""
        return self.handle(self.bound_to.enqueue_in(session, self.asked(payload, options)))

    async def aenqueue_in(self, session: Any, payload: P, **options: Unpack[EnqueueOptions]) -> TaskHandle[R]:
        """Like enqueue_in, for an AsyncSession or AsyncConnection."""
        return self.handle(await self.bound_to.aenqueue_in(session, self.asked(payload, options)))

    def enqueue_many(self, payloads: Iterable[P], **options: Unpack[EnqueueOptions]) -> list[TaskHandle[R]]:
        """Put a task for each of *payloads* on its queue, all or none, in one statement; in the order given."""
        return self._handles(self.bound_to.enqueue_many(self._new(payloads, options)))

    async def aenqueue_many(self, payloads: Iterable[P], **options: Unpack[EnqueueOptions]) -> list[TaskHandle[R]]:
        """Like enqueue_many, without blocking the event loop."""
        return self._handles(await self.bound_to.aenqueue_many(self._new(payloads, options)))

    def enqueue_many_in(
        self, session: Any, payloads: Iterable[P], **options: Unpack[EnqueueOptions]
    ) -> list[TaskHandle[R]]:
        """Like enqueue_many, in the transaction of the caller's Session or Connection."""
        return self._handles(self.bound_to.enqueue_many_in(session, self._new(payloads, options)))

    async def aenqueue_many_in(
        self, session: Any, payloads: Iterable[P], **options: Unpack[EnqueueOptions]
    ) -> list[TaskHandle[R]]:
        """Like enqueue_many_in, for an AsyncSession or AsyncConnection."""
        return self._handles(await self.bound_to.aenqueue_many_in(session, self._new(payloads, options)))

    def handle_of(self, task_id: TaskId | str) -> TaskHandle[R]:
        """The task with this id, to wait for its result. Raises TaskNotFound, and InvalidInput for another job's."""
        return self.handle(self._own_task(self.bound_to.find(checked_task_id(task_id))))

    async def ahandle_of(self, task_id: TaskId | str) -> TaskHandle[R]:
        """Like handle_of, without blocking the event loop."""
        return self.handle(self._own_task(await self.bound_to.afind(checked_task_id(task_id))))

    def run(self, payload: P, *, persist: bool = False) -> Outcome[R]:
        """Run the job once, here and now, with all that its definition puts around the handler.

        With *persist* it is stored and claimed first, and settled afterwards as a worker would; without, nothing is
        stored. What the handler raises is in the outcome. Not from a running event loop: see arun. Stored, a unique job
        is refused with TaskNotUnique when another task has its key, unless that one gets the payload, see Unique.
        """
        return self.bound_to.run(self.type, payload, persist=persist)

    async def arun(self, payload: P, *, persist: bool = False) -> Outcome[R]:
        """Like run, on the running event loop."""
        return await self.bound_to.arun(self.type, payload, persist=persist)

    async def arun_many(
        self, payloads: Iterable[P], *, concurrency: int = 5, persist: bool = False, stop_on_error: bool = False
    ) -> list[Outcome[R]]:
        """Run the job for each of *payloads*, at most *concurrency* at once; the outcomes in the order given.

        With *stop_on_error* none is begun after one has failed: the list ends with the last one begun.
        """
        checked_whole_number("concurrency", concurrency, low=1)
        return await self.bound_to.arun_many(
            self.type, list(payloads), concurrency=concurrency, persist=persist, stop_on_error=stop_on_error
        )

    def _own_task(self, task: WorkerTask) -> WorkerTask:
        if task.type != self.type:
            raise InvalidInput("task_id", str(task.id), f"must be that of a task of {self.type!r}, not {task.type!r}")
        return task

    def _new(self, payloads: Iterable[P], options: EnqueueOptions) -> list[NewTask]:
        return [NewTask(**self.asked(payload, options)) for payload in payloads]

    def _handles(self, tasks: Sequence[WorkerTask]) -> list[TaskHandle[R]]:
        return [self.handle(task) for task in tasks]
