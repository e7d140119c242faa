"""Expiry, looked after by workers that stay and by those that come for a tick."""

import asyncio

from app import DeathReason, TaskStatus
from app.domain.tasks.task import WorkerTask
from tests.worker.running import Rig


async def nothing(payload: object, context: object) -> None: ...


def _expired(rig: Rig) -> WorkerTask:
    rig.define("mail", nothing)
    return rig.enqueue("mail", ttl=0.001)


async def test_a_tick_ends_what_was_not_started_in_time(rig: Rig) -> None:
    """
    Where nothing but ticks looks after a queue, nobody else would: and a result would be waited for in vain.
    """
    task = _expired(rig)
    worker = rig.tasks.worker()

    async with asyncio.timeout(20):
        while rig.find(task).status is TaskStatus.PENDING:
            assert 0 == await worker.tick(budget=5)

    found = rig.find(task)
    assert (TaskStatus.CANCELLED, DeathReason.EXPIRED, 0) == (found.status, found.reason, found.attempts)


async def test_a_worker_ends_what_was_not_started_in_time(rig: Rig) -> None:
    """
    Without being asked for anything.
    """
    task = _expired(rig)

    async with rig.working():
        found = await rig.until(task, TaskStatus.CANCELLED)

    assert (DeathReason.EXPIRED, 0) == (found.reason, found.attempts)
