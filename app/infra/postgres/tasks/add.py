"""Add: new tasks of any number in one INSERT."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Double, Integer, Interval, Text, Uuid, bindparam, cast, func, insert, literal, select

from app.domain.garbage import left_alone
from app.domain.json import decoded
from app.domain.tasks.new import NewTask
from app.domain.tasks.repository import Addition
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import Replacement
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.moments import NOW
from app.infra.postgres.tables import Moment, tasks

_new = rows_of(
    "new",
    id=Uuid,
    type=Text,
    queue=Text,
    priority=Integer,
    max_attempts=Integer,
    scheduled_at=Moment,
    delay=Interval,
    timeout=Double,
    correlation_id=Text,
    tags=Text,
    version=Integer,
    payload=Text,
    expires_at=Moment,
    ttl=Interval,
    origin=Text,
)

# A delay that is not given is NULL, and so is its sum.
_scheduled_at = func.coalesce(_new.c.scheduled_at, NOW + _new.c.delay, NOW)


def _or_same(column: str) -> Any:
    return func.coalesce(_new.c[column], bindparam(f"same_{column}", type_=_new.c[column].type))


_added = (
    insert(tasks)
    .from_select(
        [
            "id", "type", "queue", "status", "priority", "max_attempts", "scheduled_at", "created_at",
            "timeout", "correlation_id", "tags", "version", "payload", "ready", "expires_at", "origin",
        ],
        select(
            _new.c.id,
            _or_same("type"),
            _or_same("queue"),
            literal(str(TaskStatus.PENDING), Text),
            _or_same("priority"),
            _or_same("max_attempts"),
            _scheduled_at,
            NOW,
            _new.c.timeout,
            _new.c.correlation_id,
            cast(_new.c.tags, JSON),
            _new.c.version,
            cast(_new.c.payload, JSON),
            _scheduled_at <= NOW,
            func.coalesce(_new.c.expires_at, _scheduled_at + _new.c.ttl),
            cast(_new.c.origin, JSON),
        ),
    )
    .cte("added")
)  # fmt: skip

# Answers with its moment alone: all else is known here, and RETURNING would cost a third of the insert again.
ADD = select(cast(NOW, Moment)).add_cte(_added)


def add_parameters(additions: Sequence[Addition]) -> dict[str, Any]:
    ids, new, budgets, versions, ttls = zip(*additions, strict=True)
    return {
        "id_list": ids,
        **_folded("type", [one.type for one in new]),
        **_folded("queue", [one.queue for one in new]),
        **_folded("priority", [one.priority for one in new]),
        **_folded("max_attempts", budgets),
        "scheduled_at_list": _unless_none([one.scheduled_at for one in new]),
        "delay_list": _unless_none([_microseconds(one.delay) for one in new]),
        "timeout_list": _unless_none([one.timeout for one in new]),
        "correlation_id_list": _unless_none([one.correlation_id for one in new]),
        "tags_list": _unless_none([json.dumps(one.tags) if one.tags else None for one in new]),
        # NULL for the first: see tables.
        "version_list": [] if versions.count(1) == len(versions) else [None if one == 1 else one for one in versions],
        "payload_list": [one.text for one in new],
        "expires_at_list": _unless_none([one.expires_at for one in new]),
        "ttl_list": _unless_none([_microseconds(ttl) for ttl in ttls]),
        "origin_list": _unless_none([None if one.origin is None else json.dumps(one.origin) for one in new]),
    }


def replacing_parameters(replacements: Sequence[Replacement]) -> dict[str, Any]:
    """What tasks that are there are to do instead, sorted by id."""
    additions = [one.addition for one in replacements]
    new = [one.new for one in additions]
    return {
        "id_list": [one.id for one in additions],
        "type_list": [one.type for one in new],
        "queue_list": [one.queue for one in new],
        "priority_list": [one.priority for one in new],
        "max_attempts_list": [one.max_attempts for one in additions],
        "scheduled_at_list": [one.scheduled_at for one in new],
        "delay_list": [_microseconds(one.delay) for one in new],
        "keeps_place_list": [not one.postpones for one in replacements],
        "timeout_list": [one.timeout for one in new],
        "correlation_id_list": [one.correlation_id for one in new],
        "tags_list": [json.dumps(one.tags) if one.tags else None for one in new],
        "version_list": [None if one.version == 1 else one.version for one in additions],
        "payload_list": [one.text for one in new],
        "expires_at_list": [one.expires_at for one in new],
        "ttl_list": [_microseconds(one.ttl) for one in additions],
    }


@left_alone
def added_tasks(additions: Sequence[Addition], now: datetime) -> list[WorkerTask]:
    """The tasks as they were stored at *now*, without reading back what we have just sent."""
    added = []
    for id_, new, max_attempts, version, ttl in additions:
        # Without the constructor, as in to_task.
        task = WorkerTask.__new__(WorkerTask)
        task.id = id_
        task.type = new.type
        task.payload = decoded(new.text)
        task.queue = new.queue
        task.priority = new.priority
        task.status = TaskStatus.PENDING
        task.attempts = 0
        task.max_attempts = max_attempts
        task.timeout = new.timeout  # type: ignore[assignment]  # NewTask keeps seconds; only its parameter takes more
        task.scheduled_at = now if new.scheduled_at is None and new.delay is None else _scheduled(new, now)
        task.created_at = now
        task.started_at = None
        task.finished_at = None
        task.result = None
        task.error = None
        task.errors = []
        task.worker_id = None
        task.lease_seq = 0
        task.correlation_id = new.correlation_id
        task.version = version
        task.tags = new.tags  # type: ignore[assignment]  # checked, it is a tuple
        task.progress = None
        task.progress_message = None
        task.checkpoint = None
        task.expires_at = new.expires_at if ttl is None else _later(task.scheduled_at, ttl)
        task.origin = None if new.origin is None else dict(new.origin)
        task.requeues = 0
        task.cancel_requested_at = task.reason = task.letter_queue = None
        task.is_dead_letter = False
        added.append(task)
    return added


def _folded(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """A column without NULLs: its values, or the one that all rows have. ``unnest`` pads shorter arrays with NULL."""
    same = values.count(values[0]) == len(values)
    return {f"{name}_list": () if same else values, f"same_{name}": values[0] if same else None}


def _unless_none(values: list[Any]) -> list[Any]:
    return [] if values.count(None) == len(values) else values


def _microseconds(seconds: Any) -> str | None:
    # In whole ones, so that the sum which the database stores is the one that we return.
    return None if seconds is None else f"{timedelta(seconds=seconds) // timedelta(microseconds=1)} microseconds"


def _scheduled(new: NewTask, now: datetime) -> datetime:
    return _later(now, new.delay) if new.scheduled_at is None else new.scheduled_at.astimezone(now.tzinfo)


def _later(moment: datetime, seconds: Any) -> datetime:
    # In UTC, because Python adds to what the clock on the wall shows; returned in the zone that the session has.
    return (moment.astimezone(UTC) + timedelta(seconds=seconds or 0)).astimezone(moment.tzinfo)
