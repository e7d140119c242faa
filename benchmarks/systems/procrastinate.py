"""procrastinate: psycopg, a claim per job, one row per job with a table of events beside it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_TASK = "noop"
_CONCURRENCY = 10


def _app(url: str, connections: int) -> App:
    return App(connector=PsycopgConnector(conninfo=url, min_size=connections, max_size=connections))


class ProcrastinateProducer(Producer):
    def __init__(self, app: App) -> None:
        self._app = app

    async def enqueue(self, number: int) -> None:
        await self._app.configure_task(_TASK).defer_async(n=number)

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        await self._app.configure_task(_TASK).batch_defer_async(*({"n": number} for number in numbers))


class Procrastinate(System):
    name = "procrastinate"
    distributions = ("procrastinate", "psycopg")
    settings = {
        "connector": "PsycopgConnector with psycopg[binary], the fastest of its async connectors",
        "concurrency": f"{_CONCURRENCY}, with as many connections and a few more: claims come one after the other, "
        "and more than that only wait: 30 and 100 were slower",
        "notifications": "on (its default), so the polling interval does not matter",
        "delete_jobs": "never (its default), so that history is kept as the others keep theirs",
        "bulk": "batch_defer_async, a thousand at a time",
    }
    bulk = 1_000
    unfinished = "SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    finished = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

    async def install(self, url: str) -> None:
        app = _app(url, 1)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        app = _app(url, producers)
        app.task(name=_TASK)(_nothing)
        async with app.open_async():
            yield ProcrastinateProducer(app)

    async def work(self, work: Work) -> None:
        app = _app(work.url, _CONCURRENCY + 4)
        mark = work.mark

        def sync_noop(n: int) -> None:
            mark(n)

        async def noop(n: int) -> None:
            mark(n)

        app.task(name=_TASK)(sync_noop if work.sync else noop)
        async with app.open_async():
            working = asyncio.create_task(app.run_worker_async(concurrency=_CONCURRENCY, install_signal_handlers=False))
            stopped = asyncio.create_task(work.stop.wait())
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            try:
                await working
            except asyncio.CancelledError:
                return


async def _nothing(n: int) -> None:
    """The producer's idea of the task, which it does not run."""


if __name__ == "__main__":
    main(Procrastinate())
