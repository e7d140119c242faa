"""The one translation between a row of ``tasks`` and a WorkerTask."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast

from app.domain.tasks.failures import AttemptError
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.tables import tasks

# JSON travels as text and is read here: an engine's own json_serializer, which belongs to its owner, has no say in it.
COLUMNS: tuple[ColumnElement[Any], ...] = (
    tasks.c.id,
    tasks.c.type,
    cast(tasks.c.payload, Text),
    tasks.c.queue,
    tasks.c.priority,
    tasks.c.status,
    tasks.c.attempts,
    tasks.c.max_attempts,
    tasks.c.timeout,
    tasks.c.scheduled_at,
    tasks.c.created_at,
    tasks.c.started_at,
    tasks.c.finished_at,
    cast(tasks.c.result, Text),
    tasks.c.error,
    cast(tasks.c.errors, Text),
    tasks.c.worker_id,
    tasks.c.lease_seq,
    tasks.c.correlation_id,
    tasks.c.tags,
    tasks.c.progress,
    tasks.c.progress_message,
)
_STATUS = {str(status): status for status in TaskStatus}


def to_task(row: Row[*tuple[Any, ...]]) -> WorkerTask:
    # Unpacked by position: reading a row by attribute costs several times more.
    (
        id_, type_, payload, queue, priority, status, attempts, max_attempts, timeout,
        scheduled_at, created_at, started_at, finished_at, result, error, errors,
        worker_id, lease_seq, correlation_id, tags, progress, progress_message,
    ) = row  # fmt: skip
    return WorkerTask(
        id=id_,
        type=type_,
        payload=json.loads(payload),
        queue=queue,
        priority=priority,
        status=_STATUS[status],
        attempts=attempts,
        max_attempts=max_attempts,
        timeout=timeout,
        scheduled_at=scheduled_at,
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        result=None if result is None else json.loads(result),
        error=error,
        errors=[] if errors == "[]" else [_to_error(one) for one in json.loads(errors)],
        worker_id=worker_id,
        lease_seq=lease_seq,
        correlation_id=correlation_id,
        tags=tuple(tags),
        progress=progress,
        progress_message=progress_message,
    )


def _to_error(stored: dict[str, Any]) -> AttemptError:
    return AttemptError(
        attempt=stored["attempt"],
        at=datetime.fromisoformat(stored["at"]),
        type=stored["type"],
        message=stored["message"],
        traceback=stored["traceback"],
    )


def array_literal(values: Iterable[str]) -> str:
    """*values* as PostgreSQL writes an array of text; an array of arrays cannot be unnested row by row."""
    return "{" + ",".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values) + "}"
