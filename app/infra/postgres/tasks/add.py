"""Add: new tasks of any number in one INSERT."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Double, Integer, Text, Uuid, cast, func, insert, literal, select

from app.domain.tasks.repository import Addition
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.statements import ONE_PLAN
from app.infra.postgres.tables import Moment, tasks

_new = rows_of(
    "new",
    id=Uuid,
    type=Text,
    queue=Text,
    priority=Integer,
    max_attempts=Integer,
    scheduled_at=Moment,
    delay=Double,
    timeout=Double,
    correlation_id=Text,
    tags=Text,
    payload=Text,
)

_scheduled_at = func.coalesce(_new.c.scheduled_at, after(_new.c.delay))

ADD = (
    insert(tasks)
    .from_select(
        [
            "id", "type", "queue", "status", "priority", "max_attempts", "scheduled_at", "created_at",
            "timeout", "correlation_id", "tags", "payload", "ready",
        ],
        select(
            _new.c.id,
            _new.c.type,
            _new.c.queue,
            literal(str(TaskStatus.PENDING), Text),
            _new.c.priority,
            _new.c.max_attempts,
            _scheduled_at,
            NOW,
            _new.c.timeout,
            _new.c.correlation_id,
            cast(_new.c.tags, JSON),
            cast(_new.c.payload, JSON),
            _scheduled_at <= NOW,
        ),
    )
    .returning(tasks.c.id, tasks.c.scheduled_at, tasks.c.created_at)
    .execution_options(**{ONE_PLAN: True})
)  # fmt: skip


def add_parameters(additions: Sequence[Addition]) -> dict[str, Any]:
    new = [addition.new for addition in additions]
    return {
        "id_list": [addition.id for addition in additions],
        "type_list": [one.type for one in new],
        "queue_list": [one.queue for one in new],
        "priority_list": [one.priority for one in new],
        "max_attempts_list": [addition.max_attempts for addition in additions],
        "scheduled_at_list": [one.scheduled_at for one in new],
        "delay_list": [one.delay or 0.0 for one in new],
        "timeout_list": [one.timeout for one in new],
        "correlation_id_list": [one.correlation_id for one in new],
        "tags_list": [json.dumps(one.tags) if one.tags else None for one in new],
        "payload_list": [one.encoded.text for one in new],
    }


def added_task(addition: Addition, scheduled_at: Any, created_at: Any) -> WorkerTask:
    """The task as it was stored, without reading back what we have just sent."""
    new = addition.new
    return WorkerTask(
        id=addition.id,
        type=new.type,
        payload=new.encoded.decoded(),
        queue=new.queue,
        priority=new.priority,
        max_attempts=addition.max_attempts,
        timeout=new.timeout,  # type: ignore[arg-type]  # NewTask keeps it as seconds; only its parameter takes more
        scheduled_at=scheduled_at,
        created_at=created_at,
        correlation_id=new.correlation_id,
        tags=tuple(new.tags),
    )
