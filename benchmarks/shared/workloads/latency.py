"""W4 and W6: how soon a task runs, on an idle queue and on a busy one."""

import asyncio
from time import monotonic
from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context, Producer
from benchmarks.shared.workers import workers
from benchmarks.shared.workloads.watching import check, percentile, until_done, until_run

_WARM = 10
_REST = 1.0
"""Seconds after the warm-up, so that what follows meets an idle worker."""
_PRODUCERS = 20
_ENOUGH = 0.97


async def pick_up(context: Context) -> dict[str, Any]:
    """W4: ``size`` tasks at ``rate``; from the return of enqueue to the start of the handler.

    A worker may well be faster than the way back to the one who enqueued: that counts as nothing.
    """
    numbers, whole = _numbers(context)
    ledger = Ledger.create(whole.stop, 1)
    returned: dict[int, float] = {}
    async with context.system.producer(context.url, 1) as producer, workers(context, ledger) as started:
        await _warm(producer)
        await until_run(context, ledger, range(_WARM), started)
        await asyncio.sleep(_REST)
        began = monotonic()
        for number in numbers:
            await asyncio.sleep(began + (number - _WARM) / context.rate - monotonic())
            await producer.enqueue(number)
            returned[number] = monotonic()
        await until_done(context, ledger, whole, producer, started)
        waits = [max(0.0, ledger.starts[number] - returned[number]) * 1000 for number in numbers]
        await started[0].stop()
        await check(context, ledger, whole, producer)
    return {"p50": percentile(waits, 50), "p99": percentile(waits, 99), "worst": max(waits)}


async def steady(context: Context) -> dict[str, Any]:
    """W6: ``rate`` for ``seconds``; from when a task is due to be enqueued to the start of its handler, and the cost.

    Each is enqueued by itself, whether or not those before have returned (up to twenty). A producer that falls behind
    makes its tasks late, which counts: from the call on, a stalled system would look as if nobody had called.
    """
    numbers, whole = _numbers(context, round(context.rate * context.seconds))
    ledger = Ledger.create(whole.stop, 1)
    places = asyncio.Semaphore(_PRODUCERS)

    async def enqueue(number: int) -> None:
        async with places:
            await producer.enqueue(number)

    async with (
        context.system.producer(context.url, _PRODUCERS) as producer,
        workers(context, ledger) as started,
        asyncio.TaskGroup() as group,
    ):
        await _warm(producer)
        await until_run(context, ledger, range(_WARM), started)
        await asyncio.sleep(_REST)
        pids = [worker.pid for worker in started]
        before = context.observer.cpu(pids)
        began = monotonic()
        tasks = []
        for number in numbers:
            await asyncio.sleep(began + (number - _WARM) / context.rate - monotonic())
            tasks.append(group.create_task(enqueue(number)))
        await asyncio.gather(*tasks)
        enqueued = monotonic()
        await until_done(context, ledger, whole, producer, started)
        after = context.observer.cpu(pids)
        waits = [(ledger.starts[number] - began - (number - _WARM) / context.rate) * 1000 for number in numbers]
        await started[0].stop()
        await check(context, ledger, whole, producer)
    thousands = len(numbers) / 1000
    achieved = len(numbers) / (enqueued - began)
    return {
        "p50": percentile(waits, 50),
        "p99": percentile(waits, 99),
        "worker_cpu": (after["workers"] - before["workers"]) / thousands,
        "database_cpu": (after["database"] - before["database"]) / thousands,
        "note": "" if achieved > _ENOUGH * context.rate else f"only {achieved:.0f}/s could be enqueued",
    }


def _numbers(context: Context, size: int | None = None) -> tuple[range, range]:
    """The tasks that count, and all: the warm-up's come first."""
    last = _WARM + (context.size if size is None else size)
    return range(_WARM, last), range(last)


async def _warm(producer: Producer) -> None:
    for number in range(_WARM):
        await producer.enqueue(number)
