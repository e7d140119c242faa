"""The jobs a worker runs when it is given none of its own, and how a catalog of jobs is made."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.retries import Exponential
from app.domain.tasks.statistics import TaskStats
from app.domain.tasks.task import WorkerTask
from app.worker.examples import email, http, report
from app.worker.examples.email import Smtp
from app.worker.examples.request import MAX_TIMEOUT


def example_jobs(
    *,
    smtp: Smtp,
    data: Path,
    statistics: Callable[[], TaskStats],
    newest: Callable[[int], Sequence[WorkerTask]],
) -> JobCatalog:
    """``email:send``, ``report:generate`` and ``http:request``, whose files go into folders of *data*.

    *statistics* and *newest* read the queue itself, and are called from a thread.
    """
    jobs = JobCatalog()

    # Patient, because servers that greylist want to be asked again after some minutes.
    @jobs.define("email:send", timeout=180, max_attempts=8, retry=Exponential(first=30))
    async def send_email(payload: Any, context: TaskContext) -> dict[str, Any]:
        return await email.send_email(payload, context, smtp=smtp, outbox=data / "outbox")

    @jobs.define("report:generate", timeout=300, max_attempts=3)
    def generate_report(payload: Any, context: TaskContext) -> dict[str, Any]:
        return report.generate_report(payload, context, folder=data / "reports", statistics=statistics, newest=newest)

    # The payload's own timeout ends the call first, and says so better.
    @jobs.define("http:request", timeout=MAX_TIMEOUT + 10, max_attempts=5)
    async def request_url(payload: Any, context: TaskContext) -> dict[str, Any]:
        return await http.call_url(payload, context)

    return jobs
