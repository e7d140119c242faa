"""pgqueuer: asyncio, claims in batches, finished jobs move to a log table."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

R = TypeVar("R")
_JOB = "noop"
_BATCH = 500
_MANAGERS = 1


class PgQueuerProducer(Producer):
    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def enqueue(self, number: int) -> None:
        await self._queries.enqueue(_JOB, json.dumps({"n": number}).encode())

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        payloads = [json.dumps({"n": number}).encode() for number in numbers]
        await self._queries.enqueue([_JOB] * len(payloads), payloads, [0] * len(payloads))


class PgQueuerSystem(System):
    name = "pgqueuer"
    distributions = ("pgqueuer", "asyncpg", "uvloop")
    settings = {
        "driver": "asyncpg, which its own table shows 1.7 times ahead of psycopg; one connection for the worker and a "
        "pool for producers, as its tuning guide says",
        "event loop": "uvloop, a dependency of it, and what its benchmark and its runner use",
        "batch_size": f"{_BATCH} instead of 10: its guide says to raise it for short jobs; statuses are flushed in "
        "batches of the same size",
        "managers": f"{_MANAGERS} in a process, with a connection: its own benchmark has five of batches of 10; with "
        "batches this large two were no faster and cost more, and 1,000 at a time gained a few percent at most",
        "dequeue_timeout": "30 s (its default): notifications wake it, so it matters to no workload",
        "mode": "continuous (its default), as a worker lives",
        "tables": "durable (its default), with `pgq autovac` applied, as its checklist says",
        "sync handlers": "asyncio.to_thread, as its message for plain functions says",
    }
    unfinished = "SELECT 1 FROM pgqueuer"
    finished = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

    async def install(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        queries = Queries(AsyncpgDriver(connection))
        await queries.install()
        await queries.optimize_autovacuum()
        await connection.close()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        async with asyncpg.create_pool(url, min_size=producers, max_size=producers) as pool:
            yield PgQueuerProducer(Queries(AsyncpgPoolDriver(pool)))

    async def work(self, work: Work) -> None:
        mark = work.mark

        def sync_noop(job: Job) -> None:
            mark(json.loads(job.payload or b"")["n"])

        async def to_thread(job: Job) -> None:
            await asyncio.to_thread(sync_noop, job)

        async def noop(job: Job) -> None:
            mark(json.loads(job.payload or b"")["n"])

        connections = [await asyncpg.connect(work.url) for _ in range(_MANAGERS)]
        managers = [PgQueuer(AsyncpgDriver(connection)) for connection in connections]
        for manager in managers:
            manager.entrypoint(_JOB)(to_thread if work.sync else noop)
        running = [asyncio.create_task(manager.run(batch_size=_BATCH)) for manager in managers]
        stopped = asyncio.create_task(work.stop.wait())
        await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for manager in managers:
            manager.shutdown.set()
        await asyncio.gather(*running)
        for connection in connections:
            await connection.close()

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)


if __name__ == "__main__":
    main(PgQueuerSystem())
