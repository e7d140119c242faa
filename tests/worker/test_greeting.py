"""Greeting: what a worker says that it runs."""

from typing import Any

import pytest

from app import JobCatalog, TaskQueueContainer
from app.infra.settings import Settings


@pytest.mark.parametrize(
    ("patterns", "level", "said"),
    [
        (("app:*",), "INFO", "runs app:dead-letters"),
        ((), "INFO", "runs text:upper"),
        (("mail:*",), "WARNING", "runs nothing: mail:* fits none of its jobs, text:upper"),
    ],
)
async def test_a_worker_for_the_queues_own_jobs_runs_something(
    caplog: pytest.LogCaptureFixture, patterns: tuple[str, ...], level: str, said: str
) -> None:
    """They go without saying unless nothing else fits."""
    jobs = JobCatalog()

    @jobs.define("text:upper")
    def upper(payload: Any, context: Any) -> None: ...

    caplog.set_level("INFO", "app.worker")
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, worker_task_types=patterns), jobs=jobs)
    await tasks.worker().drain()
    await tasks.aclose()

    assert [level] == [record.levelname for record in caplog.records if record.getMessage().endswith(said)]
