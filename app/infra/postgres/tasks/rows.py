"""The one translation between a stored task and a WorkerTask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Table, Text, cast, null

from app.domain.json import decoded
from app.domain.tasks.failures import AttemptError
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.tables import finished, tasks


def columns_of(table: Table) -> tuple[ColumnElement[Any], ...]:
    """The columns that make a WorkerTask; *table* may be either of the two."""
    ends = table is finished
    # JSON travels as text and is read here: an engine's own json_serializer, which belongs to its owner, has no say.
    return (
        table.c.id,
        table.c.type,
        cast(table.c.payload, Text),
        table.c.queue,
        table.c.priority,
        table.c.status,
        table.c.attempts,
        table.c.max_attempts,
        table.c.timeout,
        table.c.scheduled_at,
        table.c.created_at,
        table.c.started_at,
        table.c.finished_at if ends else cast(null(), DateTime(timezone=True)).label("finished_at"),
        cast(table.c.result if ends else null(), Text).label("result"),
        table.c.error,
        cast(table.c.errors, Text),
        table.c.worker_id,
        table.c.lease_seq,
        table.c.correlation_id,
        cast(table.c.tags, Text),
        table.c.version,
        table.c.progress,
        table.c.progress_message,
        cast(table.c.checkpoint, Text),
    )


COLUMNS = columns_of(tasks)
_STATUS = {str(status): status for status in TaskStatus}


def to_task(row: Sequence[Any]) -> WorkerTask:
    # By position and without the constructor: half of what twenty-two keywords cost, for every task that is claimed.
    task = WorkerTask.__new__(WorkerTask)
    (
        task.id, task.type, payload, task.queue, task.priority, status, task.attempts, task.max_attempts, task.timeout,
        task.scheduled_at, task.created_at, task.started_at, task.finished_at, result, task.error, errors,
        task.worker_id, task.lease_seq, task.correlation_id, tags, version, task.progress, task.progress_message,
        checkpoint,
    ) = row  # fmt: skip
    task.payload = decoded(payload)
    task.status = _STATUS[status]
    task.result = None if result is None else decoded(result)
    task.errors = [] if errors is None else [_to_error(one) for one in decoded(errors)]
    task.version = version or 1
    task.checkpoint = None if checkpoint is None else decoded(checkpoint)
    task.tags = () if tags is None else tuple(decoded(tags))
    return task


def _to_error(stored: dict[str, Any]) -> AttemptError:
    return AttemptError(
        attempt=stored["attempt"],
        at=datetime.fromisoformat(stored["at"]),
        type=stored["type"],
        message=stored["message"],
        traceback=stored["traceback"],
    )
