"""report:generate, the queue's own tables as a CSV file for machines with a page for people."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from app.domain.jobs.context import TaskContext
from app.domain.tasks.statistics import TaskStats
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.find import MAX_LISTED
from app.worker.examples.files import write_whole
from app.worker.examples.page import page
from app.worker.examples.payload import Line, Payload

COLUMNS = (
    *("id", "type", "status", "queue", "priority", "attempts", "max_attempts", "created_at", "scheduled_at"),
    *("started_at", "finished_at", "duration", "worker_id", "correlation_id", "tags", "error"),
)
"""A column for each of these attributes of a task; payload and result are left out, as they may be secret."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Report(Payload):
    """The payload of ``report:generate``: how many of the newest tasks, under which title."""

    limit: int = Field(default=1000, ge=1, le=MAX_LISTED)
    title: Annotated[Line, Field(min_length=1, max_length=200)] = "Task queue"


def generate_report(
    payload: Any,
    context: TaskContext,
    *,
    folder: Path,
    statistics: Callable[[], TaskStats],
    newest: Callable[[int], Sequence[WorkerTask]],
) -> dict[str, Any]:
    """Write both files into *folder*, named by the task: a second attempt replaces what the first one left."""
    report = Report.read(payload)
    context.progress(0, "reading the queue")
    stats, tasks = statistics(), newest(report.limit)
    task = context.task
    csv_file, html_file = (folder / f"{task.id}.{ending}" for ending in ("csv", "html"))

    context.progress(40, f"writing {len(tasks)} lines")
    write_whole(csv_file, table(tasks).encode())

    context.progress(80, "drawing the page")
    html = page(title=report.title, at=task.started_at or task.created_at, stats=stats, tasks=tasks)
    write_whole(html_file, html.encode())

    context.progress(100, "done")
    return {"csv": str(csv_file), "html": str(html_file), "tasks": len(tasks)}


def table(tasks: Iterable[WorkerTask]) -> str:
    """*tasks* as CSV (RFC 4180): a line of names, then one for each task; times in UTC, durations in seconds."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(task, column)) for column in COLUMNS] for task in tasks)
    return text.getvalue()


def _cell(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case tuple():
            return _inert(" ".join(value))
        case str():
            return _inert(value)
    return value


def _inert(text: str) -> str:
    """*text* that no spreadsheet takes for a formula (OWASP, "CSV Injection"); numbers need no such care."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
