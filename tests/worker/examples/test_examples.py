"""The catalog of example jobs, as the container asks for it."""

import inspect
from pathlib import Path
from typing import Any

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.tasks.statistics import TaskStats
from app.worker.examples import example_jobs
from app.worker.examples.email import Smtp
from tests.examples import a_task


def catalog(data: Path) -> JobCatalog:
    return example_jobs(smtp=Smtp(), data=data, statistics=TaskStats, newest=lambda limit: [a_task()][:limit])


def test_the_examples_are_three_jobs_with_policies(tmp_path: Path) -> None:
    """Each says how long an attempt may take and how many there are; only the report runs in a thread."""
    jobs = catalog(tmp_path)

    assert ("email:send", "http:request", "report:generate") == jobs.types()
    assert all(job.timeout and job.max_attempts for job in jobs)
    assert {"email:send", "http:request"} == {job.type for job in jobs if inspect.iscoroutinefunction(job.handler)}


async def test_their_files_go_into_folders_of_their_own(tmp_path: Path) -> None:
    """Mail into the outbox, reports among the reports; nothing is made before it is needed."""
    jobs = catalog(tmp_path / "data")
    email, report = jobs.get("email:send"), jobs.get("report:generate")
    assert email is not None
    assert report is not None
    assert [] == list(tmp_path.iterdir())

    sent: Any = await email.handler(
        {"to": "ada@example.org", "subject": "Hello", "body": "Hello"}, TaskContext(a_task(), "worker-1")
    )
    made: Any = report.handler(None, TaskContext(a_task(type="report:generate"), "worker-1"))

    assert tmp_path / "data" / "outbox" == Path(sent["file"]).parent
    assert tmp_path / "data" / "reports" == Path(made["csv"]).parent == Path(made["html"]).parent
    assert all(Path(file).is_file() for file in (sent["file"], made["csv"], made["html"]))
