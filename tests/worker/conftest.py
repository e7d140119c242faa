"""Queues whose workers run in the test's own process, once in memory and once in PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from app import JobCatalog, TaskQueueContainer
from app.infra.settings import Settings
from tests.worker.effects import TABLE, Effects
from tests.worker.running import Rig

QUICK: dict[str, Any] = {
    "worker_id": "here",
    "worker_concurrency": 5,
    "worker_poll_interval": 0.2,
    "worker_stale_check_interval": 0.2,
    "worker_lease": 10,
    "worker_shutdown_grace": 2,
}


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Short times, on either adapter."""
    if request.param == "memory":
        return Settings(in_memory=True, **QUICK)
    return Settings(database_url=request.getfixturevalue("database_url"), **QUICK)


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    """An empty queue that knows no job yet."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    yield Rig(tasks, jobs)
    await tasks.aclose()


@pytest.fixture
def effects(database_url: str) -> Iterator[Effects]:
    """A table for handlers to write into."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)
        yield Effects(connection)
