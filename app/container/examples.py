"""The shipped example jobs, as a container sets them up."""

from collections.abc import Sequence
from typing import Any

from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.task import WorkerTask
from app.infra.settings import Settings
from app.usecases.bound import Bound
from app.worker.examples import example_jobs
from app.worker.examples.email import Smtp


def examples_of(settings: Settings, stats: Bound[[], Any], list_tasks: Bound[..., Sequence[WorkerTask]]) -> JobCatalog:
    password = settings.smtp_password
    smtp = Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=None if password is None else password.get_secret_value(),
        starttls=settings.smtp_starttls,
        sender=settings.smtp_from,
    )
    return example_jobs(
        smtp=smtp,
        data=settings.data_dir,
        statistics=stats.execute,
        newest=lambda limit: list_tasks.execute(limit=limit),
    )
