"""Notifications name a queue, and a worker looks there alone; nothing elsewhere waits for it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app import TaskStatus
from app.infra.settings import Settings
from tests.worker.running import Rig

UNTOLD = """
    INSERT INTO worker.tasks
        (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload, ready)
    VALUES (gen_random_uuid(), 'job', 'untold', 'pending', 0, 3, now(), now(), 'null', true)
"""


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Where notifications are real, and no poll comes to the rescue."""
    return Settings(database_url=database_url, worker_poll_interval=60, worker_concurrency=100)


async def test_a_queue_that_nobody_named_is_looked_into_while_others_are(rig: Rig) -> None:
    """A notification that was lost costs its task a moment, however many are told meanwhile of another queue."""
    ran = asyncio.Event()

    async def noted(payload: Any, context: Any) -> None:
        if context.task.queue == "untold":
            ran.set()

    rig.define("job", noted)
    async with rig.working():
        # Until it hears: before that it looks everywhere, each time a slot is freed.
        for _ in range(10):
            await rig.until(rig.enqueue("job", queue="told"), TaskStatus.COMPLETED)
        engine: Engine = rig.tasks.sync_engine()
        with engine.begin() as connection:
            connection.execute(text(UNTOLD))
        async with asyncio.timeout(5):
            while not ran.is_set():
                await rig.until(rig.enqueue("job", queue="told"), TaskStatus.COMPLETED)

    assert ran.is_set()
