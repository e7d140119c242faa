"""W8: what a transaction that somebody else holds open does to the queue."""

import asyncio
from time import monotonic
from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context, Producer
from benchmarks.shared.workers import WorkerProcess, workers
from benchmarks.shared.workloads.watching import check, until_done, until_run

_TICK = 0.05
"""Seconds between the small bulks of the load: cheap to make, and still a stream to the worker."""
_WARM = 100


async def held_horizon(context: Context) -> dict[str, Any]:
    """Time a burst of ``size``; hold a transaction open over ``seconds`` of load; time another burst, still held.

    One worker process lives through all of it. A burst is one transaction, so the worker meets it as a whole; what it
    takes is the capacity, which falls long before a load of ``rate`` is no longer kept up with. A system for which
    that load is more than half its capacity gets half of it, and a note says so.
    """
    room = _WARM + 2 * context.size + round(context.rate * context.seconds) + round(context.rate)
    ledger = Ledger.create(room, 1)
    async with context.system.producer(context.url, 1) as producer, workers(context, ledger) as started:
        first = _WARM
        await _burst(context, ledger, producer, started, range(first))
        context.observer.analyze()
        before = await _burst(context, ledger, producer, started, range(first, first + context.size))
        first += context.size
        load = min(context.rate, before / 2)
        context.observer.hold_a_transaction()
        first, kept_up = await _load(context, ledger, producer, started, first=first, rate=load)
        await until_done(context, ledger, range(first), producer, started)
        end = await _burst(context, ledger, producer, started, range(first, first + context.size))
        dead = context.observer.dead_tuples()
        context.observer.release_the_transaction()
        await started[0].stop()
        await check(context, ledger, range(first + context.size), producer)
    return {
        "kept": end / before,
        "dead": dead,
        "before": before,
        "end": end,
        "kept_up": kept_up,
        "note": "" if load == context.rate else f"at {load:.0f}/s, half of what it can do",
    }


async def _burst(
    context: Context, ledger: Ledger, producer: Producer, started: list[WorkerProcess], numbers: range
) -> float:
    """Tasks a second for *numbers*, enqueued at once."""
    await producer.enqueue_many(numbers)
    ended = await until_done(context, ledger, numbers, producer, started)
    return len(numbers) / (ended - ledger.first_start(numbers))


async def _load(
    context: Context,
    ledger: Ledger,
    producer: Producer,
    started: list[WorkerProcess],
    *,
    first: int,
    rate: float,
) -> tuple[int, float]:
    """Enqueue *rate* a second for the time asked for; the next free number, and the share that ran meanwhile."""
    began, number = monotonic(), first
    while (elapsed := monotonic() - began) < context.seconds:
        due = first + round(elapsed * rate)
        if due > number:
            await producer.enqueue_many(range(number, due))
            number = due
        await asyncio.sleep(_TICK)
    share = ledger.runs(range(first, number)) / max(1, number - first)
    await until_run(context, ledger, range(first, number), started)
    return number, share
