"""Jobs of a container: the queue that a catalog is bound to, and how it learns of it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dependency_injector import providers

from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.errors import JobNotInCatalog, TaskNotFinished
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Schemas
from app.domain.moments import checked_seconds
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask
from app.usecases.bound import Bound
from app.usecases.results import ResultWaiter
from app.worker.here import Here
from app.worker.own_loop import check_no_loop_runs, in_own_loop
from app.worker.runner import TaskRunner


class ContainerQueue:
    """Implements domain.jobs.queue.JobQueue with the use cases of a container."""

    def __init__(
        self,
        catalog: JobCatalog,
        schemas: Schemas,
        *,
        enqueue_task: Bound[..., WorkerTask],
        enqueue_tasks: Bound[[Iterable[NewTask]], list[WorkerTask]],
        find_task: Bound[[TaskId], WorkerTask],
        waiter: ResultWaiter,
        here: Here,
        runner: TaskRunner,
    ) -> None:
        self.schemas = schemas
        self._catalog = catalog
        self._enqueue_task = enqueue_task
        self._enqueue_tasks = enqueue_tasks
        self._find_task = find_task
        self._waiter = waiter
        self._here = here
        self._runner = runner

    def enqueue(self, asked: dict[str, Any]) -> WorkerTask:
        return self._enqueue_task.execute(**asked)

    async def aenqueue(self, asked: dict[str, Any]) -> WorkerTask:
        return await self._enqueue_task.aexecute(**asked)

    def enqueue_in(self, session: Any, asked: dict[str, Any]) -> WorkerTask:
        return self._enqueue_task.execute_in(session, **asked)

    async def aenqueue_in(self, session: Any, asked: dict[str, Any]) -> WorkerTask:
        return await self._enqueue_task.aexecute_in(session, **asked)

    def enqueue_many(self, new: Sequence[NewTask]) -> Sequence[WorkerTask]:
        return self._enqueue_tasks.execute(new)

    async def aenqueue_many(self, new: Sequence[NewTask]) -> Sequence[WorkerTask]:
        return await self._enqueue_tasks.aexecute(new)

    def enqueue_many_in(self, session: Any, new: Sequence[NewTask]) -> Sequence[WorkerTask]:
        return self._enqueue_tasks.execute_in(session, new)

    async def aenqueue_many_in(self, session: Any, new: Sequence[NewTask]) -> Sequence[WorkerTask]:
        return await self._enqueue_tasks.aexecute_in(session, new)

    def find(self, task_id: TaskId) -> WorkerTask:
        return self._find_task.execute(task_id)

    async def afind(self, task_id: TaskId) -> WorkerTask:
        return await self._find_task.aexecute(task_id)

    def wait(self, task_id: TaskId, timeout: float) -> WorkerTask:
        check_no_loop_runs(called="task.result()", instead="task.aresult()")
        seconds = checked_seconds("timeout", timeout)
        if seconds > 0:
            return self._waiter.wait(task_id, seconds)
        return _ended(self.find(task_id), seconds)

    async def await_(self, task_id: TaskId, timeout: float) -> WorkerTask:
        seconds = checked_seconds("timeout", timeout)
        if seconds > 0:
            return await self._waiter.await_(task_id, seconds)
        return _ended(await self.afind(task_id), seconds)

    def run(self, type: str, payload: Any, *, persist: bool) -> Outcome[Any]:
        job = self._job(type)
        if persist:
            return self._runner.execute_new(job.asked(payload, {}))
        return in_own_loop(lambda: self._here.run(job, payload), called="run()", instead="arun()")

    async def arun(self, type: str, payload: Any, *, persist: bool) -> Outcome[Any]:
        job = self._job(type)
        if persist:
            return await self._runner.aexecute_new(job.asked(payload, {}))
        return await self._here.run(job, payload)

    async def arun_many(
        self, type: str, payloads: Sequence[Any], *, concurrency: int, persist: bool, stop_on_error: bool
    ) -> list[Outcome[Any]]:
        for payload in payloads:  # all of them before any is run
            self._here.check(self._job(type), payload)
        outcomes: list[Outcome[Any] | None] = [None] * len(payloads)
        waiting = iter(enumerate(payloads))
        failed = False

        async def work() -> None:
            nonlocal failed
            for index, payload in waiting:
                if failed and stop_on_error:
                    return
                outcome = outcomes[index] = await self.arun(type, payload, persist=persist)
                failed = failed or not outcome.succeeded

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(payloads))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the database's, say: what one of them raised has ended the others
        return [outcome for outcome in outcomes if outcome is not None]

    def _job(self, type: str) -> Job[Any, Any]:
        job = self._catalog.get(type)
        if job is None:
            raise JobNotInCatalog(type)
        return job


def _ended(task: WorkerTask, timeout: float) -> WorkerTask:
    """*task*, if it has ended by now."""
    if not task.status.is_final:
        raise TaskNotFinished(task.id, task.status, timeout)
    return task


class CatalogDependency(providers.Dependency[JobCatalog]):
    """A Dependency that tells the catalog it is given, at once, which container it was given to.

    Jobs are enqueued without asking the container for anything, so that nothing later would be soon enough. What is
    given as a provider that makes the catalog is told when it is first needed: see Binding.
    """

    def override(self, provider: Any) -> Any:
        overriding: Any = super().override(provider)
        given = provider() if isinstance(provider, providers.Object) else provider
        container: Any = self.parent
        if isinstance(given, JobCatalog) and container is not None:
            container.binding().bound(given)
        return overriding


class Binding:
    """Tells a catalog once that its jobs are enqueued at the *queue* of this container.

    Not at each use: a catalog that has been given to another container since belongs to that one.
    """

    def __init__(self, queue: Callable[[], ContainerQueue]) -> None:
        self._queue = queue
        self._told: JobCatalog | None = None

    def bound(self, catalog: JobCatalog) -> JobCatalog:
        if catalog is not self._told:
            self._told = catalog
            catalog.bind(self._queue)
        return catalog
