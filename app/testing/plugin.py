"""The pytest plugin: the test kit as fixtures."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.container.places import found_at
from app.domain.jobs.catalog import JobCatalog
from app.testing.queue import TrialQueue

_OPTION = "task_jobs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_OPTION, "The job catalog that the fixture task_queue is for, as package.module:catalog.", default="")


@pytest.fixture
def task_jobs(pytestconfig: pytest.Config) -> JobCatalog:
    """The application's catalog: what the ini option ``task_jobs`` names. Override it to say it in code."""
    place = pytestconfig.getini(_OPTION)
    if not place:
        raise pytest.UsageError(
            f"Which jobs? Set the ini option {_OPTION} = package.module:catalog, or override the fixture {_OPTION}"
        )
    catalog = found_at(_OPTION, place)
    if not isinstance(catalog, JobCatalog):
        raise pytest.UsageError(f"{_OPTION}: {place!r} is no JobCatalog, but a {type(catalog).__name__}")
    return catalog


@pytest.fixture
def task_services() -> Any:
    """What handlers ask for: none. Override it with a container, or a dict by name or type."""
    return None


@pytest.fixture
def task_queue(task_jobs: JobCatalog, task_services: Any) -> Iterator[TrialQueue]:
    """A queue in memory, empty, with a clock to move; the jobs of ``task_jobs`` are enqueued there in this test."""
    with TrialQueue(task_jobs, services=task_services) as queue:
        yield queue
