"""W1 and W2: putting tasks on the queue, with no worker about."""

import asyncio
from time import monotonic
from typing import Any

from benchmarks.shared.system import Context
from benchmarks.shared.workloads.watching import counts, fill

_WARM = 20


async def one_at_a_time(context: Context, *, producers: int) -> dict[str, Any]:
    """W1: *producers* that each await one enqueue after the other, in one process, for ``seconds``."""
    enqueued = 0

    async def produce(until: float) -> None:
        nonlocal enqueued
        while monotonic() < until:
            enqueued += 1
            await producer.enqueue(enqueued)

    async with context.system.producer(context.url, producers) as producer:
        await asyncio.gather(*(producer.enqueue(0) for _ in range(_WARM)))
        began = monotonic()
        await asyncio.gather(*(produce(began + context.seconds) for _ in range(producers)))
        elapsed = monotonic() - began
        waiting, _ = await counts(context, producer)
    if waiting != enqueued + _WARM:
        raise AssertionError(f"{enqueued + _WARM} tasks were enqueued and {waiting} are waiting")
    return {"rate": enqueued / elapsed, "tasks": enqueued}


async def bulk(context: Context) -> dict[str, Any]:
    """W2: ``size`` tasks as fast as the queue takes them."""
    async with context.system.producer(context.url, 1) as producer:
        await producer.enqueue(0)
        began = monotonic()
        await fill(context, producer, range(context.size))
        elapsed = monotonic() - began
        waiting, _ = await counts(context, producer)
    if waiting != context.size + 1:
        raise AssertionError(f"{context.size + 1} tasks were enqueued and {waiting} are waiting")
    return {"rate": context.size / elapsed, "batch": context.system.bulk}
