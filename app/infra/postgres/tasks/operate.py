"""Operate: what recovery and people do to stored tasks: lock and move."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    insert,
    null,
    or_,
    select,
    update,
)

from app.domain.tasks.status import NOT_BEGUN, TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.moments import NOW
from app.infra.postgres.tables import Moment, Shelf, finished, tasks, workers
from app.infra.postgres.tasks.rows import COLUMNS, columns_of
from app.infra.postgres.tasks.tally import tallied


def _lock(table: Table) -> Any:
    return (
        select(*columns_of(table))
        .where(table.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
        .order_by(table.c.id)  # one order for all, so that two callers cannot deadlock
        .with_for_update()
    )


LOCK_HERE = _lock(tasks)
LOCK_FREE = LOCK_HERE.with_for_update(skip_locked=True)
LOCK_FINISHED = _lock(finished)

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

HAS_EXPIRED = and_(
    tasks.c.expires_at <= NOW,
    or_(*(tasks.c.status == str(status) for status in NOT_BEGUN)),  # IN would be made anew for each call
    tasks.c.started_at.is_(None),
)
"""As WorkerTask.has_expired."""

LOCK_EXPIRED = (
    select(*COLUMNS)
    .where(HAS_EXPIRED)
    .order_by(tasks.c.expires_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)

_changed = rows_of(
    "changed",
    id=Uuid,
    status=Text,
    attempts=Integer,
    max_attempts=Integer,
    scheduled_at=Moment,
    finished_at=Moment,
    error=Text,
    expires_at=Moment,
    requeues=SmallInteger,
    cancel_requested_at=Moment,
    reason=Text,
    letter_queue=Text,
    shelf=SmallInteger,
)
_CHANGED = ("status", "attempts", "max_attempts", "scheduled_at", "error", "expires_at", "requeues")
_LAST = ("reason", "letter_queue", "shelf")


def _moved(source: Table, target: Table, own: dict[str, Any]) -> Any:
    """Take rows that an operator's verb changed from *source* to *target*, where *own* columns are what it says."""
    kept = [each.name for each in source.c if each.name in target.c and each.name not in own]
    history = (
        (
            source.c.status.label("was"),
            source.c.finished_at.label("was_finished_at"),
            source.c.shelf.label("was_on_shelf"),
        )
        if source is finished
        else (_changed.c[name] for name in _LAST)
    )
    gone = (
        delete(source)
        .where(source.c.id == _changed.c.id)
        .returning(
            *((_changed if name in _CHANGED else source).c[name].label(name) for name in kept),
            _changed.c.finished_at.label("ended"),
            *history,
        )
        .cte("gone")
    )
    counted = (
        tallied(gone, sign=1, finished_at=gone.c.ended)
        if target is finished
        else tallied(gone, sign=-1, finished_at=gone.c.was_finished_at, status=gone.c.was, shelf=gone.c.was_on_shelf)
    )
    values = [value(gone) if callable(value) else value for value in own.values()]
    return insert(target).from_select([*kept, *own], select(*(gone.c[name] for name in kept), *values)).add_cte(counted)


END = _moved(
    tasks,
    finished,
    {"finished_at": lambda gone: gone.c.ended} | {name: lambda gone, name=name: gone.c[name] for name in _LAST},
)
REVIVE = _moved(finished, tasks, {"ready": lambda gone: gone.c.scheduled_at <= NOW, "worker_id": cast(null(), Text)})

MARK = (
    update(tasks)
    .where(tasks.c.id == _changed.c.id)
    .values(cancel_requested_at=_changed.c.cancel_requested_at, error=_changed.c.error)
)


def save_parameters(changed: list[WorkerTask]) -> dict[str, Any]:
    return {
        "id_list": [task.id for task in changed],
        "status_list": [str(task.status) for task in changed],
        "attempts_list": [task.attempts for task in changed],
        "max_attempts_list": [task.max_attempts for task in changed],
        "scheduled_at_list": [task.scheduled_at for task in changed],
        "finished_at_list": [task.finished_at for task in changed],
        "error_list": [task.error for task in changed],
        "expires_at_list": [task.expires_at for task in changed],
        "requeues_list": [task.requeues or None for task in changed],
        "cancel_requested_at_list": [task.cancel_requested_at for task in changed],
        "reason_list": [task.reason for task in changed],
        "letter_queue_list": [task.letter_queue for task in changed],
        "shelf_list": [Shelf.DEAD if task.is_dead_letter else Shelf.DAYS for task in changed],
    }
