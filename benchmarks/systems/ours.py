"""Our queue, by its public face alone: the container, enqueue, the worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg

from app import JobCatalog, NewTask, TaskContext, TaskQueueContainer
from app.infra.settings import Settings
from app.worker.process import suit_the_collector
from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_TYPE = "bench:noop"
_CONCURRENCY = 1_000
_UNSETTLED = """
SELECT 1 FROM worker.tasks WHERE id >= %s AND status IN ('blocked', 'pending', 'running') LIMIT 1
"""
_BACKLOG: dict[str, dict[str, Any]] = {
    "": {},
    "scheduled": {"delay": 30 * 24 * 3600},
    "priority": {"priority": -1},
    "queue": {"queue": "other"},
}


def _container(url: str, jobs: JobCatalog | None = None, **settings: Any) -> TaskQueueContainer:
    # No .env of whoever runs this has a say.
    return TaskQueueContainer(
        settings=Settings(_env_file=None, database_url=url, **settings), jobs=JobCatalog() if jobs is None else jobs
    )


class OurProducer(Producer):
    def __init__(self, tasks: TaskQueueContainer, watching: "psycopg.AsyncConnection[Any]") -> None:
        self._tasks = tasks
        self._watching = watching
        self._oldest: dict[int, UUID] = {}  # by the first number of an enqueueing

    async def enqueue(self, number: int) -> None:
        task = await self._tasks.enqueue_task().aexecute(type=_TYPE, payload={"n": number})
        self._oldest[number] = task.id

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        options = _BACKLOG[shape]
        new = [NewTask(type=_TYPE, payload={"n": number}, **options) for number in numbers]
        tasks = await self._tasks.enqueue_tasks().aexecute(new)
        self._oldest[numbers[0]] = min(task.id for task in tasks)

    async def settled(self, numbers: range) -> bool:
        # By SQL, as the peers are asked. Ids are of their time: the backlog's are older, which others may have made.
        oldest = min(id for number, id in self._oldest.items() if number in numbers)
        cursor = await self._watching.execute(_UNSETTLED, (oldest,))
        return await cursor.fetchone() is None

    async def counts(self) -> tuple[int, int]:
        stats = await self._tasks.get_task_stats().aexecute()
        return stats.blocked + stats.pending + stats.running, stats.completed

    async def statistics(self) -> None:
        await self._tasks.get_task_stats().aexecute()


class Ours(System):
    name = "ours"
    distributions = ("app-task-queue", "sqlalchemy", "psycopg")
    settings = {
        "concurrency": f"{_CONCURRENCY}: a claim takes as many as there are free slots, and batches of 500 are near "
        "the best that the database can do; for plain functions too, which take up as many threads as block at once",
        "garbage": "collected as in a process of `python -m app worker`: frozen at the start, and seldom looked for",
        "everything else": "as it comes",
    }
    bulk = 10_000

    async def install(self, url: str) -> None:
        tasks = _container(url)
        await asyncio.to_thread(tasks.migrations().upgrade)
        await tasks.aclose()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        tasks = _container(url)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watching:
            yield OurProducer(tasks, watching)
        await tasks.aclose()

    async def work(self, work: Work) -> None:
        jobs = JobCatalog()
        mark = work.mark

        def sync_noop(payload: Any, context: TaskContext) -> None:
            mark(payload["n"])

        async def noop(payload: Any, context: TaskContext) -> None:
            mark(payload["n"])

        jobs.define(_TYPE)(sync_noop if work.sync else noop)
        tasks = _container(
            work.url,
            jobs,
            worker_concurrency=_CONCURRENCY,
            worker_queues=("default",) if work.one_queue else (),
        )
        worker = tasks.worker()
        suit_the_collector()
        working = asyncio.create_task(worker.run())
        stopped = asyncio.create_task(work.stop.wait())
        # A worker that ends by itself has something to say.
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await working
        await tasks.aclose()


if __name__ == "__main__":
    main(Ours())
