"""Typed jobs and a queue for them, on either adapter."""

from collections.abc import AsyncIterator

import pytest

from app import TaskQueueContainer
from app.infra.settings import Settings
from tests.journeys.typed import LIMIT, Jobs


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Either adapter, with little room for payloads and results."""
    if request.param == "memory":
        return Settings(in_memory=True, worker_max_payload=LIMIT)
    return Settings(database_url=request.getfixturevalue("database_url"), worker_max_payload=LIMIT)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
async def tasks(settings: Settings, jobs: Jobs) -> AsyncIterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(settings=settings, jobs=jobs.catalog)
    yield tasks
    await tasks.aclose()
