"""W5: emptying a queue while many others wait that are none of the worker's business now."""

from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context
from benchmarks.shared.workers import go, workers
from benchmarks.shared.workloads.watching import check, counts, fill, until_done, until_run


async def prepare_a_backlog(context: Context, *, shape: str) -> dict[str, Any]:
    """Make the ``size`` others: far ahead (scheduled), less urgent (priority), elsewhere (queue), done (history).

    The run copies the database for each round.
    """
    async with context.system.producer(context.url, 1) as producer:
        if shape == "history":
            ledger = Ledger.create(context.size, 1)
            await fill(context, producer, range(context.size))
            context.observer.analyze()
            async with workers(context, ledger) as started:
                await until_run(context, ledger, range(context.size), started)
            await check(context, ledger, range(context.size), producer)
        else:
            await fill(context, producer, range(-context.size, 0), shape)
    context.observer.analyze(vacuum=True)
    return {}


async def drain_beside_a_backlog(context: Context, *, shape: str) -> dict[str, Any]:
    """As W3, with the backlog in place; the worker is told to work on the default queue."""
    numbers = range(context.size)
    ledger = Ledger.create(context.size, 1)
    async with context.system.producer(context.url, 1) as producer:
        _, before = await counts(context, producer)
        await fill(context, producer, numbers)
        context.observer.analyze()
        async with workers(context, ledger, one_queue=True, paused=True) as started:
            await go(started)
            ended = await until_done(context, ledger, numbers, producer, started)
        # Once the urgent ones are done, the worker turns to the others.
        await check(context, ledger, numbers, producer, before=before, others=shape == "priority")
    return {"rate": context.size / (ended - ledger.first_start(numbers))}
