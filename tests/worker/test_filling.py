"""Filling: every slot of a worker is used, however its claims and its threads come by their work."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app import TaskContext, TaskQueueContainer, TaskStatus
from tests.worker.running import Rig

SLOTS = 20


@pytest.fixture
async def meeting(rig: Rig) -> AsyncIterator[Rig]:
    """A worker's rig whose jobs wait until as many of them run as it has slots, and that is woken by no poll."""
    met = threading.Barrier(SLOTS)

    def meets(payload: Any, context: TaskContext) -> None:
        met.wait(10)

    settings = rig.tasks.settings().replaced(worker_poll_interval=30, worker_concurrency=SLOTS)
    tasks = TaskQueueContainer(settings=settings, jobs=rig.jobs)
    rig.define("meets", meets, max_attempts=1)
    yield Rig(tasks, rig.jobs)
    await tasks.aclose()


async def test_handlers_that_block_have_every_slot_at_once(meeting: Rig) -> None:
    """Plain functions share threads only while they are short: twenty that wait for each other all get one."""
    all_of_them = [meeting.enqueue("meets") for _ in range(2 * SLOTS)]

    async with meeting.working():
        found = [await meeting.until(task, TaskStatus.COMPLETED) for task in all_of_them]

    assert 2 * SLOTS == len(found)


async def test_drain_fills_all_of_its_slots(meeting: Rig) -> None:
    """A claim takes half of many slots at most, and the next one follows without waiting for a poll."""
    all_of_them = [meeting.enqueue("meets") for _ in range(SLOTS)]

    await meeting.tasks.worker().drain()
    found = [await meeting.until(task, TaskStatus.COMPLETED) for task in all_of_them]

    assert SLOTS == len(found)
