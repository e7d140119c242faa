"""chancy: psycopg, claims as many as there are free slots, updates that are flushed at intervals."""

import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chancy import Chancy, Job, Queue, Worker
from chancy.plugins.leadership import Leadership
from chancy.plugins.pruner import Pruner
from chancy.plugins.recovery import Recovery

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_CONCURRENCY = 2000
_THREADS = 50
_FLUSH = 0.02


def _chancy(url: str, connections: int = 10) -> Chancy:
    log = logging.getLogger("chancy")
    log.setLevel(logging.WARNING)
    return Chancy(
        url,
        plugins=[Leadership(), Pruner(), Recovery()],
        no_default_plugins=True,
        min_connection_pool_size=connections,
        max_connection_pool_size=connections,
        log=log,
    )


class ChancyProducer(Producer):
    def __init__(self, chancy: Chancy) -> None:
        self._chancy = chancy

    async def enqueue(self, number: int) -> None:
        await self._chancy.push(self._job(number))

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        jobs = [self._job(number) for number in numbers]
        async for _ in self._chancy.push_many(jobs, batch_size=len(jobs)):
            pass

    def _job(self, number: int) -> Job:
        return Job(func="__main__.noop", kwargs={"n": number})


class ChancySystem(System):
    name = "chancy"
    distributions = ("chancy", "psycopg")
    settings = {
        "driver": "psycopg[binary], with a pool of 10 (its default)",
        "executor": f"Async with a concurrency of {_CONCURRENCY}: a claim takes as many as there are free slots; "
        "500 and 1,000 were no faster; "
        f"Threaded with {_THREADS} for plain functions, its default executor being a pool of processes",
        "eager_polling": "on, or it would look every few seconds only; the polling interval is 1 s, its least",
        "send_outgoing_interval": f"{_FLUSH} s instead of 1, which its docs offer: an outcome is not stored before",
        "plugins": "leadership, pruner and recovery; not metrics and workflows, which the others do not keep either",
        "bulk": "push_many in batches of 1,000, its default",
        "log": "warnings only",
    }
    bulk = 1_000
    unfinished = "SELECT 1 FROM chancy_jobs WHERE state NOT IN ('succeeded', 'failed')"
    finished = "SELECT count(*) FROM chancy_jobs WHERE state = 'succeeded'"

    async def install(self, url: str) -> None:
        async with _chancy(url, 1) as chancy:
            await chancy.migrate()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        async with _chancy(url, producers) as chancy:
            yield ChancyProducer(chancy)

    async def work(self, work: Work) -> None:
        def sync_noop(*, n: int) -> None:
            work.mark(n)

        async def noop(*, n: int) -> None:
            work.mark(n)

        # Jobs name their function, which is looked for in its module at each run: this one, as it was started.
        sys.modules["__main__"].noop = sync_noop if work.sync else noop  # type: ignore[attr-defined]
        async with _chancy(work.url) as chancy:
            await chancy.declare(
                Queue(
                    name="default",
                    executor=Chancy.Executor.Threaded if work.sync else Chancy.Executor.Async,
                    concurrency=_THREADS if work.sync else _CONCURRENCY,
                    polling_interval=1,
                    eager_polling=True,
                ),
                upsert=True,
            )
            worker = Worker(chancy, register_signal_handlers=False)
            worker.send_outgoing_interval = _FLUSH
            async with worker:
                await work.stop.wait()


if __name__ == "__main__":
    main(ChancySystem())
