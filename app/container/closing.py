"""Closing a container: what is still to be said is said, then its connections go."""

import asyncio

from app.container.engines import Engines
from app.infra.events.signals import TaskSignals
from app.infra.postgres.herald import Herald
from app.usecases.results import ResultWaiter


def close_queue(signals: TaskSignals, waiter: ResultWaiter, herald: Herald, engines: Engines) -> None:
    signals.close()
    waiter.close()
    herald.flush()
    engines.close()


async def aclose_queue(signals: TaskSignals, waiter: ResultWaiter, herald: Herald, engines: Engines) -> None:
    await signals.aclose()
    await asyncio.to_thread(waiter.close)
    await herald.aflush()
    await engines.aclose()
