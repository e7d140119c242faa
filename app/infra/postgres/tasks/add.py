"""Add: new tasks of any number in one INSERT."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    DateTime,
    Double,
    Integer,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    select,
)

from app.domain.tasks.repository import Addition
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.tables import tasks

_new = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("types", type_=ARRAY(Text)),
        bindparam("queues", type_=ARRAY(Text)),
        bindparam("priorities", type_=ARRAY(Integer)),
        bindparam("budgets", type_=ARRAY(Integer)),
        bindparam("schedules", type_=ARRAY(DateTime(timezone=True))),
        bindparam("delays", type_=ARRAY(Double)),
        bindparam("timeouts", type_=ARRAY(Double)),
        bindparam("correlations", type_=ARRAY(Text)),
        bindparam("tags", type_=ARRAY(Text)),
        bindparam("payloads", type_=ARRAY(Text)),
    )
    .table_valued(
        column("id", Uuid),
        column("type", Text),
        column("queue", Text),
        column("priority", Integer),
        column("max_attempts", Integer),
        column("scheduled_at", DateTime(timezone=True)),
        column("delay", Double),
        column("timeout", Double),
        column("correlation_id", Text),
        column("tags", Text),
        column("payload", Text),
        name="new",
    )
    .render_derived()
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
)  # fmt: skip


def add_parameters(additions: Sequence[Addition]) -> dict[str, Any]:
    new = [addition.new for addition in additions]
    return {
        "ids": [addition.id for addition in additions],
        "types": [one.type for one in new],
        "queues": [one.queue for one in new],
        "priorities": [one.priority for one in new],
        "budgets": [addition.max_attempts for addition in additions],
        "schedules": [one.scheduled_at for one in new],
        "delays": [one.delay or 0.0 for one in new],
        "timeouts": [one.timeout for one in new],
        "correlations": [one.correlation_id for one in new],
        "tags": [json.dumps(one.tags) if one.tags else None for one in new],
        "payloads": [one.encoded.text for one in new],
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
