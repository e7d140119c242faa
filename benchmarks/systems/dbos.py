"""DBOS: durable workflows; a task is a workflow on a queue, with its state checkpointed."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from sqlalchemy import create_engine

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_APP = "bench"
_QUEUE = "bench"
_WORKFLOW = "noop"
_VERSION = "1"
_CONCURRENCY = 1000
_POLL = 0.05
_POOL = 20
_THREADS = 512


def _config(url: str, worker: int = 0) -> DBOSConfig:
    return {
        "name": _APP,
        "system_database_url": url,
        "sys_db_pool_size": _POOL,
        "max_executor_threads": _THREADS,
        "application_version": _VERSION,
        "executor_id": f"bench-{worker}",
        "log_level": "ERROR",
    }


class DbosProducer(Producer):
    def __init__(self, url: str, producers: int) -> None:
        self._client = DBOSClient(system_database_url=url, system_database_pool_size=producers, application_name=_APP)
        self._alone = producers == 1
        self._engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        self._options: EnqueueOptions = {
            "workflow_name": _WORKFLOW,
            "queue_name": _QUEUE,
            "app_version": _VERSION,
        }

    async def enqueue(self, number: int) -> None:
        if self._alone:
            self._client.enqueue(self._options, number)
        else:
            await self._client.enqueue_async(self._options, number)

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        with self._engine.begin() as connection:
            for number in numbers:
                self._client.enqueue_in_transaction(connection, self._options, number)

    def close(self) -> None:
        self._engine.dispose()
        self._client.destroy()


class Dbos(System):
    name = "dbos"
    distributions = ("dbos", "sqlalchemy", "psycopg")
    settings = {
        "worker_concurrency": f"{_CONCURRENCY}, as its own queue benchmark; no limit over all processes, which would "
        "count running workflows in each claim",
        "polling_interval_sec": f"{_POLL} instead of 1: it has no notifications for queues, and its docs offer that; "
        "0.01 gained nothing that stood out, and 0.2 was slower",
        "sys_db_pool_size": f"{_POOL} (its default), and max_executor_threads {_THREADS}, as in its own benchmark: "
        "every database call has a thread",
        "enqueue": "DBOSClient; the sync call for a lone producer, which saves it the thread",
        "bulk": "it has none; enqueue_in_transaction a thousand at a time saves the commits",
        "log": "errors only",
    }
    bulk = 1_000
    unfinished = "SELECT 1 FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED')"
    finished = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"

    async def install(self, url: str) -> None:
        def launch() -> None:
            DBOS(config=_config(url))
            DBOS.launch()
            DBOS.register_queue(
                _QUEUE, worker_concurrency=_CONCURRENCY, polling_interval_sec=_POLL, on_conflict="always_update"
            )
            DBOS.destroy()

        await asyncio.to_thread(launch)

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        producer = DbosProducer(url, producers)
        yield producer
        producer.close()

    async def work(self, work: Work) -> None:
        mark = work.mark

        def sync_noop(n: int) -> None:
            mark(n)

        async def noop(n: int) -> None:
            mark(n)

        def launch() -> None:
            DBOS(config=_config(work.url, work.worker))
            DBOS.workflow(name=_WORKFLOW)(sync_noop if work.sync else noop)
            DBOS.launch()

        await asyncio.to_thread(launch)
        await work.stop.wait()
        await asyncio.to_thread(DBOS.destroy)


if __name__ == "__main__":
    os.environ.setdefault("DBOS_DISABLE_TELEMETRY", "true")
    logging.getLogger("dbos").setLevel(logging.ERROR)
    main(Dbos())
