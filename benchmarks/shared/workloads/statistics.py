"""W11: how long people wait for the numbers of a queue with a long history."""

from time import monotonic
from typing import Any

from benchmarks.shared.system import Context
from benchmarks.shared.workloads.watching import percentile

_CALLS = 50


async def statistics(context: Context) -> dict[str, Any]:
    """Ask for the statistics again and again, at rest; the first call, which connects, does not count."""
    waits = []
    async with context.system.producer(context.url, 1) as producer:
        await producer.statistics()
        for _ in range(_CALLS):
            began = monotonic()
            await producer.statistics()
            waits.append((monotonic() - began) * 1000)
    return {"p50": percentile(waits, 50), "p99": percentile(waits, 99)}
