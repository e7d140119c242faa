"""What the workloads share: filling a queue, waiting until its tasks are done, and checking that they are."""

import asyncio
from time import monotonic

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context, Producer
from benchmarks.shared.workers import WorkerProcess

_LOOK, _SELDOM = 0.002, 0.05
_SHARE = 0.005


def pause(waited: float) -> float:
    """Seconds until the next look after *waited*: a look takes time from what is measured, and so does being late.

    So it comes after a share of the time that has passed, which is what a rate is off by at the most.
    """
    return min(_SELDOM, max(_LOOK, _SHARE * waited))


async def fill(context: Context, producer: Producer, numbers: range, shape: str = "") -> None:
    """Enqueue *numbers* in transactions of the system's best size."""
    for first in range(numbers.start, numbers.stop, context.system.bulk):
        await producer.enqueue_many(range(first, min(first + context.system.bulk, numbers.stop)), shape)


async def counts(context: Context, producer: Producer) -> tuple[int, int]:
    """How many tasks of the database are not terminal, and how many have succeeded."""
    told = await producer.counts()
    if told is not None:
        return told
    left = context.observer.count(f"SELECT count(*) FROM ({context.system.unfinished}) AS unfinished")
    return left, context.observer.count(context.system.finished)


async def until_run(
    context: Context, ledger: Ledger, numbers: range, started: list[WorkerProcess], *, enough: int | None = None
) -> None:
    """Wait until *enough* of *numbers* have run, all of them unless said. Raises TimeoutError."""
    wanted = len(numbers) if enough is None else enough
    began = monotonic()
    while (runs := ledger.runs(numbers)) < wanted:
        for worker in started:
            await worker.check()
        waited = monotonic() - began
        if waited > context.limit:
            raise TimeoutError(f"{runs} of {len(numbers)} tasks had run after {context.limit:.0f} s")
        await asyncio.sleep(pause(waited))


async def until_done(
    context: Context, ledger: Ledger, numbers: range, producer: Producer, started: list[WorkerProcess]
) -> float:
    """Wait until each of *numbers* has run and is terminal; returns when that was. Raises TimeoutError."""
    await until_run(context, ledger, numbers, started)
    deadline = monotonic() + context.limit
    while True:
        asked = monotonic()
        settled = await producer.settled(numbers)
        if settled is None:
            settled = context.observer.count(f"SELECT count(*) FROM ({context.system.unfinished} LIMIT 1) AS one") == 0
        if settled:
            return asked
        if asked > deadline:
            raise TimeoutError(
                f"all {len(numbers)} tasks had run, and after {context.limit:.0f} s not all are terminal"
            )
        for worker in started:
            await worker.check()
        await asyncio.sleep(_LOOK)


async def check(
    context: Context, ledger: Ledger, numbers: range, producer: Producer, *, before: int = 0, others: bool = False
) -> None:
    """Raise AssertionError unless each of *numbers* ran exactly once and has succeeded; call it when no worker runs.

    *before* tasks had succeeded already; with *others* some more may have meanwhile.
    """
    if wrong := ledger.not_once(numbers):
        raise AssertionError(wrong)
    _, finished = await counts(context, producer)
    succeeded = finished - before
    if succeeded < len(numbers) or (succeeded > len(numbers) and not others):
        raise AssertionError(f"{len(numbers)} tasks ran, but the system's tables hold {succeeded} that succeeded")


def percentile(values: list[float], percent: float) -> float:
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]
