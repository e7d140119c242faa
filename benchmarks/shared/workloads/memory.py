"""W10: whether a worker process keeps its size, however many tasks it has run."""

from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context
from benchmarks.shared.workers import go, workers
from benchmarks.shared.workloads.watching import check, fill, until_done, until_run

_TENTHS = (1, 5, 10)
_MEBIBYTE = 2**20


async def memory(context: Context) -> dict[str, Any]:
    """Drain ``size`` tasks with one worker process, and weigh it after a tenth of them, a half, and all.

    The first tenth is for what a process takes once: code, connections, caches, its largest batch. Only memory of its
    own counts, because its share of the ledger grows with what has run.
    """
    numbers = range(context.size)
    ledger = Ledger.create(context.size, 1)
    async with context.system.producer(context.url, 1) as producer:
        await fill(context, producer, numbers)
        context.observer.analyze()
        async with workers(context, ledger, paused=True) as started:
            await go(started)
            sizes = []
            for tenths in _TENTHS:
                await until_run(context, ledger, numbers, started, enough=len(numbers) * tenths // 10)
                sizes.append(context.observer.memory([worker.pid for worker in started]) / _MEBIBYTE)
            await until_done(context, ledger, numbers, producer, started)
        await check(context, ledger, numbers, producer)
    early, middle, late = sizes
    return {"growth": late / early, "memory": late, "at_a_tenth": early, "at_a_half": middle}
