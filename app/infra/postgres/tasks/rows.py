"""The one translation between a stored task and a WorkerTask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, SmallInteger, Table, Text, cast, null

from app.domain.json import decoded
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.failures import AttemptError
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.tables import Shelf, tasks


def columns_of(table: Table) -> tuple[ColumnElement[Any], ...]:
    """The columns that make a WorkerTask; *table* may be ``tasks``, ``finished``, or a shelf of that."""
    ends = table is not tasks
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
        table.c.expires_at,
        cast(table.c.origin, Text),
        table.c.requeues,
        cast(null(), DateTime(timezone=True)).label("cancel_requested_at") if ends else table.c.cancel_requested_at,
        table.c.reason if ends else cast(null(), Text).label("reason"),
        table.c.shelf if ends else cast(null(), SmallInteger).label("shelf"),
        table.c.letter_queue if ends else cast(null(), Text).label("letter_queue"),
    )


COLUMNS = columns_of(tasks)
CLAIMED = (
    tasks.c.id,
    tasks.c.type,
    cast(tasks.c.payload, Text),
    tasks.c.queue,
    tasks.c.priority,
    tasks.c.attempts,
    tasks.c.max_attempts,
    tasks.c.timeout,
    tasks.c.scheduled_at,
    tasks.c.created_at,
    tasks.c.started_at,
    tasks.c.error,
    cast(tasks.c.errors, Text),
    tasks.c.worker_id,
    tasks.c.lease_seq,
    tasks.c.correlation_id,
    cast(tasks.c.tags, Text),
    tasks.c.version,
    tasks.c.progress,
    tasks.c.progress_message,
    cast(tasks.c.checkpoint, Text),
    tasks.c.expires_at,
    cast(tasks.c.origin, Text),
    tasks.c.requeues,
)
"""What a claim reads: of what has just begun, less is to be known."""
_STATUS = {str(status): status for status in TaskStatus}


def to_claimed(row: Sequence[Any]) -> WorkerTask:
    # By position and without the constructor: half of what thirty keywords cost, for every task that is claimed.
    task = WorkerTask.__new__(WorkerTask)
    (
        task.id, task.type, payload, task.queue, task.priority, task.attempts, task.max_attempts, task.timeout,
        task.scheduled_at, task.created_at, task.started_at, task.error, errors, task.worker_id, task.lease_seq,
        task.correlation_id, tags, version, task.progress, task.progress_message, checkpoint, task.expires_at, origin,
        requeues,
    ) = row  # fmt: skip
    task.payload = decoded(payload)
    task.status = TaskStatus.RUNNING
    task.finished_at = task.result = task.cancel_requested_at = task.reason = task.letter_queue = None
    task.is_dead_letter = False
    task.errors = [] if errors is None else [_to_error(one) for one in decoded(errors)]
    task.version = version or 1
    task.checkpoint = None if checkpoint is None else decoded(checkpoint)
    task.tags = () if tags is None else tuple(decoded(tags))
    task.origin = None if origin is None else decoded(origin)
    task.requeues = requeues or 0
    return task


def to_task(row: Sequence[Any]) -> WorkerTask:
    task = WorkerTask.__new__(WorkerTask)
    (
        task.id, task.type, payload, task.queue, task.priority, status, task.attempts, task.max_attempts, task.timeout,
        task.scheduled_at, task.created_at, task.started_at, task.finished_at, result, task.error, errors,
        task.worker_id, task.lease_seq, task.correlation_id, tags, version, task.progress, task.progress_message,
        checkpoint, task.expires_at, origin, requeues, task.cancel_requested_at, reason, shelf, task.letter_queue,
    ) = row  # fmt: skip
    task.payload = decoded(payload)
    task.status = _STATUS[status]
    task.result = None if result is None else decoded(result)
    task.errors = [] if errors is None else [_to_error(one) for one in decoded(errors)]
    task.version = version or 1
    task.checkpoint = None if checkpoint is None else decoded(checkpoint)
    task.tags = () if tags is None else tuple(decoded(tags))
    task.origin = None if origin is None else decoded(origin)
    task.requeues = requeues or 0
    task.reason = None if reason is None else DeathReason(reason)
    task.is_dead_letter = shelf == Shelf.DEAD
    return task


def _to_error(stored: dict[str, Any]) -> AttemptError:
    return AttemptError(
        attempt=stored["attempt"],
        at=datetime.fromisoformat(stored["at"]),
        type=stored["type"],
        message=stored["message"],
        traceback=stored["traceback"],
    )
