"""W3 and W7: emptying a queue that was filled before."""

from time import monotonic
from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context
from benchmarks.shared.workers import go, workers
from benchmarks.shared.workloads.watching import check, fill, until_done


async def drain(context: Context, *, processes: int = 1, sync: bool = False) -> dict[str, Any]:
    """Fill the queue with ``size`` no-op tasks, then time *processes* workers.

    The clock runs from the start of the first handler, because how long a worker takes to come up is another
    question, until the last task is terminal in the database, because until then it could run again.
    """
    numbers = range(context.size)
    ledger = Ledger.create(context.size, processes)
    async with context.system.producer(context.url, 1) as producer:
        await fill(context, producer, numbers)
        context.observer.analyze()
        async with workers(context, ledger, sync=sync, paused=True) as started:
            began = monotonic()
            await go(started)
            ended = await until_done(context, ledger, numbers, producer, started)
        await check(context, ledger, numbers, producer)
    first = ledger.first_start(numbers)
    return {
        "rate": context.size / (ended - first),
        "seconds": ended - first,
        "to_first_start": first - began,
        "by_worker": ledger.by_worker(numbers),
    }
