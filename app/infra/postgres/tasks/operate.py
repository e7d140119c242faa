"""Operate: what recovery and people do to stored tasks: lock, save, remove."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    DateTime,
    Double,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    column,
    delete,
    exists,
    func,
    select,
    update,
)

from app.domain.tasks.status import FINAL, TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.moments import after
from app.infra.postgres.tables import tasks, workers
from app.infra.postgres.tasks.rows import COLUMNS

LOCK = (
    select(*COLUMNS)
    .where(tasks.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(tasks.c.id)  # one order for all, so that two callers cannot deadlock
    .with_for_update()
)

LOCK_ORPHANS = (
    select(*COLUMNS)
    .where(
        tasks.c.status == str(TaskStatus.RUNNING),
        ~exists().where(workers.c.id == tasks.c.worker_id),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True, of=tasks)
)

_changed = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("statuses", type_=ARRAY(Text)),
        bindparam("attempts", type_=ARRAY(Integer)),
        bindparam("budgets", type_=ARRAY(Integer)),
        bindparam("schedules", type_=ARRAY(DateTime(timezone=True))),
        bindparam("ends", type_=ARRAY(DateTime(timezone=True))),
        bindparam("worker_ids", type_=ARRAY(Text)),
    )
    .table_valued(
        column("id", Uuid),
        column("status", Text),
        column("attempts", Integer),
        column("max_attempts", Integer),
        column("scheduled_at", DateTime(timezone=True)),
        column("finished_at", DateTime(timezone=True)),
        column("worker_id", Text),
        name="changed",
    )
    .render_derived()
)
SAVE = (
    update(tasks)
    .where(tasks.c.id == _changed.c.id)
    .values(
        status=_changed.c.status,
        attempts=_changed.c.attempts,
        max_attempts=_changed.c.max_attempts,
        scheduled_at=_changed.c.scheduled_at,
        finished_at=_changed.c.finished_at,
        worker_id=_changed.c.worker_id,
    )
)

REMOVE_FINISHED = delete(tasks).where(
    tasks.c.status.in_([str(status) for status in FINAL]),
    tasks.c.finished_at < after(-bindparam("seconds", type_=Double)),
)


def save_parameters(changed: Sequence[WorkerTask]) -> dict[str, Any]:
    return {
        "ids": [task.id for task in changed],
        "statuses": [str(task.status) for task in changed],
        "attempts": [task.attempts for task in changed],
        "budgets": [task.max_attempts for task in changed],
        "schedules": [task.scheduled_at for task in changed],
        "ends": [task.finished_at for task in changed],
        "worker_ids": [task.worker_id for task in changed],
    }
