"""PostgresUniques: who has which unique key, in a table whose primary key decides between those who want the same."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Double,
    Integer,
    Interval,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.domain.errors import InvalidInput
from app.domain.tasks.status import NOT_BEGUN, TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import Cleared, Holders, Holding, Replacement, Taking
from app.infra.postgres.arrays import ValuesById, rows_of
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, finished, tasks, uniques
from app.infra.postgres.tasks.add import replacing_parameters
from app.infra.postgres.tasks.rows import COLUMNS, columns_of, to_task

_MARGIN = timedelta(days=1)
"""A task ends after its key was taken, however the clock was set meanwhile: older partitions need not be searched."""

_STATUSES = {str(status): status for status in TaskStatus}

_wanted = rows_of("wanted", key=Text, task_id=Uuid, ttl=Double, while_status=Text)
_taking = insert(uniques).from_select(
    ["key", "task_id", "taken_at", "expires_at", "while_status"],
    select(
        _wanted.c.key,
        _wanted.c.task_id,
        NOW,
        after(_wanted.c.ttl),
        func.string_to_array(_wanted.c.while_status, ","),
    ),
)
_held = (uniques.c.key, uniques.c.task_id, uniques.c.taken_at, uniques.c.expires_at, uniques.c.while_status)

# Changes nothing of a row that is there: it locks it, having waited for whoever inserted it to commit or roll back, and
# tells what is in it then, which DO NOTHING would not. Nothing is decided here: the statement's snapshot may be older
# than the task which it has waited for.
TAKE = _taking.on_conflict_do_update(index_elements=["key"], set_={"key": _taking.excluded.key}).returning(*_held)
TAKE_OVER = _taking.on_conflict_do_update(
    index_elements=["key"],
    set_={name: _taking.excluded[name] for name in ("task_id", "taken_at", "expires_at", "while_status")},
)


def _among(column: Any, name: str, kind: Any) -> Any:
    return column == any_(bindparam(name, type_=ARRAY(kind)))


# In one statement, because a task may be on its way from one table to the other.
LOOK = union_all(
    select(cast(NOW, Moment), *COLUMNS).where(_among(tasks.c.id, "ids", Uuid)),
    select(cast(NOW, Moment), *columns_of(finished)).where(
        _among(finished.c.id, "ids", Uuid), finished.c.finished_at >= bindparam("since", type_=Moment)
    ),
)


def _replace() -> Any:
    given = ValuesById(
        "given",
        type=Text,
        queue=Text,
        priority=Integer,
        max_attempts=Integer,
        scheduled_at=Moment,
        delay=Interval,
        keeps_place=Boolean,
        timeout=Double,
        correlation_id=Text,
        tags=Text,
        version=Integer,
        payload=Text,
        expires_at=Moment,
        ttl=Interval,
    )

    def of(name: str) -> Any:
        return given.of(tasks.c.id, name)

    place = case((of("keeps_place"), func.least(tasks.c.scheduled_at, NOW)), else_=NOW)
    scheduled_at = func.coalesce(of("scheduled_at"), NOW + of("delay"), place)
    blocked = tasks.c.status == str(TaskStatus.BLOCKED)
    return (
        update(tasks)
        .where(
            given.names(tasks.c.id),
            tasks.c.type == of("type"),
            tasks.c.status.in_([str(status) for status in NOT_BEGUN]),
        )
        .values(
            queue=of("queue"),
            priority=of("priority"),
            max_attempts=of("max_attempts"),
            scheduled_at=scheduled_at,
            ready=case((blocked, null()), else_=scheduled_at <= NOW),
            timeout=of("timeout"),
            correlation_id=of("correlation_id"),
            tags=cast(of("tags"), tasks.c.tags.type),
            version=of("version"),
            checkpoint=null(),  # these three are of the payload that was
            progress=null(),
            progress_message=null(),
            payload=cast(of("payload"), tasks.c.payload.type),
            expires_at=func.coalesce(of("expires_at"), scheduled_at + of("ttl")),
        )
        .returning(*COLUMNS)
    )


REPLACE = _replace()

_completed = literal(str(TaskStatus.COMPLETED), Text)
# As Holding.is_stale.
_is_stale = or_(
    uniques.c.expires_at <= NOW,
    and_(
        ~exists().where(tasks.c.id == uniques.c.task_id),
        ~exists().where(
            finished.c.id == uniques.c.task_id,
            finished.c.finished_at >= uniques.c.taken_at - bindparam("margin", _MARGIN, type_=Interval),
            or_(finished.c.status != _completed, _completed == any_(uniques.c.while_status)),
        ),
    ),
)
NEXT = select(uniques.c.key).where(uniques.c.key > bindparam("after", type_=Text)).order_by(uniques.c.key)
NEXT = NEXT.limit(bindparam("limit", type_=Integer))
STALE = select(uniques.c.key).where(_among(uniques.c.key, "keys", Text), func.coalesce(_is_stale, False))
STALE = STALE.with_for_update(skip_locked=True, of=uniques)
# Decided once more, now that nobody else can change these rows: what the lock waited for, or was just too late for, is
# newer than the snapshot that it was found in.
FORGET = delete(uniques).where(_among(uniques.c.key, "keys", Text), func.coalesce(_is_stale, False))


class PostgresUniques:
    """Implements Uniques."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def take(self, takings: Sequence[Taking]) -> list[Holding]:
        if self._statements.is_autocommit():
            rule = "must be in a transaction for a job that is unique, and this connection commits each statement"
            raise InvalidInput("session", "AUTOCOMMIT", rule)
        ours = {taking.task_id for taking in takings}
        rows = self._statements.run(TAKE, _parameters(takings), timed=True)
        return [_holding(row) for row in rows if row[1] not in ours]

    def take_over(self, takings: Sequence[Taking]) -> None:
        self._statements.change(TAKE_OVER, _parameters(takings), timed=True)

    def look(self, holdings: Sequence[Holding]) -> Holders:
        since = min(holding.taken_at for holding in holdings) - _MARGIN
        ids = [holding.task_id for holding in holdings]
        rows = self._statements.run(LOOK, {"ids": ids, "since": since}, timed=True)
        # Of tasks that are gone it does not matter when that was seen.
        at = rows[0][0] if rows else holdings[0].taken_at
        return Holders(at, {row[1]: to_task(row[1:]) for row in rows})

    def replace(self, replacements: Sequence[Replacement]) -> list[WorkerTask]:
        by_id = sorted(replacements, key=lambda one: one.addition.id.int)
        return [to_task(row) for row in self._statements.run(REPLACE, replacing_parameters(by_id), timed=True)]

    def clear(self, after: str, limit: int) -> Cleared:
        seen = _keys(self._statements.run(NEXT, {"after": after, "limit": limit}))
        last = seen[-1] if len(seen) == limit else ""
        stale = _keys(self._statements.run(STALE, {"keys": seen}, timed=True)) if seen else []
        removed = self._statements.change(FORGET, {"keys": stale}, timed=True) if stale else 0
        return Cleared(len(seen), removed, last)


def _parameters(takings: Sequence[Taking]) -> dict[str, Any]:
    # In the order given: a function's rows are inserted, and locked, as they come.
    return {
        "key_list": [taking.key for taking in takings],
        "task_id_list": [taking.task_id for taking in takings],
        "ttl_list": [taking.ttl for taking in takings],
        "while_status_list": [",".join(taking.while_status) for taking in takings],
    }


def _holding(row: Sequence[Any]) -> Holding:
    key, task_id, taken_at, expires_at, statuses = row
    return Holding(key, task_id, taken_at, expires_at, frozenset(_STATUSES[status] for status in statuses))


def _keys(rows: Iterable[Sequence[Any]]) -> list[str]:
    return [row[0] for row in rows]
