"""A worker in the test's own process: running beside the test, or draining what the test has put there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from app import JobCatalog, TaskQueueContainer, TaskStatus, WorkerTask
from app.worker.worker import Worker
from tests.faults.waiting import soon

Handler = Callable[[Any, Any], Any] | Callable[[Any, Any], Coroutine[Any, Any, Any]]


class Rig:
    """A queue with jobs of the test's own, and verbs to say briefly what a test is about."""

    def __init__(self, tasks: TaskQueueContainer, jobs: JobCatalog) -> None:
        self.tasks = tasks
        self.jobs = jobs

    def define(self, type: str, handler: Handler, **policies: Any) -> None:
        self.jobs.define(type, **policies)(handler)

    def enqueue(self, type: str, payload: Any = None, **asked: Any) -> WorkerTask:
        return self.tasks.enqueue_task().execute(type=type, payload=payload, **asked)

    def find(self, task: WorkerTask) -> WorkerTask:
        return self.tasks.find_task().execute(task.id)

    async def drained(self, task: WorkerTask) -> WorkerTask:
        """*task* as it is when nothing is due any more."""
        await self.tasks.worker().drain()
        return self.find(task)

    async def ran(self, handler: Handler, **policies: Any) -> WorkerTask:
        """A task of this *handler*, once a worker has drained the queue."""
        self.define("job", handler, **policies)
        return await self.drained(self.enqueue("job"))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """A worker that runs until the block is left."""
        worker = self.tasks.worker()
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(running, timeout=20)

    async def until(self, task: WorkerTask, status: TaskStatus, *, within: float = 10.0) -> WorkerTask:
        await soon(lambda: self.find(task).status is status, within=within, what=f"{task.type} is {status}")
        return self.find(task)
