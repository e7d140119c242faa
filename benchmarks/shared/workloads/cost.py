"""W9: what a task costs the database, and what an idle worker does."""

import asyncio
from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.observer import Observer
from benchmarks.shared.system import Context
from benchmarks.shared.workers import go, workers
from benchmarks.shared.workloads.watching import check, fill, until_done, until_run

_REPORTED = 2.0
"""Seconds after which PostgreSQL's processes have reported what they did; a busy one does it once a second."""
_SETTLED = 3.0


async def cost(context: Context) -> dict[str, Any]:
    """Per task of a drain of ``size``, by one worker: statements, commits, round trips, bytes of WAL.

    Then, per second of ``seconds`` with the worker idle: queries. A round trip is a statement or a BEGIN, COMMIT and
    the like; where a driver sends several at once it had fewer.
    """
    numbers = range(context.size)
    ledger = Ledger.create(context.size, 1)
    observer = context.observer
    async with context.system.producer(context.url, 1) as producer:
        await fill(context, producer, numbers)
        observer.analyze()
        observer.count_statements()
        await asyncio.sleep(_REPORTED)
        async with workers(context, ledger, paused=True) as started:
            before = observer.counters()
            await go(started)
            # No question to the database in between, which would be counted too.
            await until_run(context, ledger, numbers, started)
            await asyncio.sleep(_REPORTED)
            drained = _less(observer, before)
            await until_done(context, ledger, numbers, producer, started)
            await asyncio.sleep(_SETTLED)
            before = observer.counters()
            await asyncio.sleep(context.seconds)
            idle = _less(observer, before)
        await check(context, ledger, numbers, producer)
    per_task = {name: None if value is None else value / context.size for name, value in drained.items()}
    statements, controls = per_task["statements"], per_task["controls"]
    return {
        "statements": statements,
        "commits": per_task["commits"],
        "round_trips": None if statements is None or controls is None else statements + controls,
        "wal": per_task["wal"],
        "idle": None if idle["statements"] is None else idle["statements"] / context.seconds,
    }


def _less(observer: Observer, before: dict[str, float | None]) -> dict[str, float | None]:
    now = observer.counters()

    def less(value: float | None, earlier: float | None) -> float | None:
        return None if value is None or earlier is None else value - earlier

    return {name: less(value, before[name]) for name, value in now.items()}
