"""PostgresDeadLetters: the shelf of the dead letters, and the record of what was done about them."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    JSON,
    ColumnElement,
    SmallInteger,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    true,
    tuple_,
    union_all,
    update,
)

from app.domain.dead_letters.actions import ActionId, LetterAction, LetterActionKind
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import MOST_REQUEUES, LetterPlace, Moved
from app.domain.dead_letters.summary import LetterGroup, LetterSummary
from app.domain.json import decoded
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.arrays import ArrayText
from app.infra.postgres.moments import NOW
from app.infra.postgres.patterns import like
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, Shelf, dead_letter_actions, finished, tasks
from app.infra.postgres.tables import finished_dead as dead
from app.infra.postgres.tasks.rows import columns_of, to_task
from app.infra.postgres.tasks.tally import tallied

_requeues = func.coalesce(dead.c.requeues, 0)
_loops = _requeues >= MOST_REQUEUES

_RETURNS = ("type", "queue", "status", "started_at", "finished_at")
"""What is known of a row that is gone, beside its id."""

_task_status = union_all(
    *(select(table.c.status).where(table.c.id == dead_letter_actions.c.task_id) for table in (tasks, finished))
).scalar_subquery()
_actions = (
    dead_letter_actions.c.id,
    dead_letter_actions.c.at,
    dead_letter_actions.c.action,
    dead_letter_actions.c.actor,
    cast(dead_letter_actions.c.filter, Text),
    dead_letter_actions.c.total,
    dead_letter_actions.c.done,
    dead_letter_actions.c.skipped,
    dead_letter_actions.c.forced,
    dead_letter_actions.c.task_id,
    _task_status,
    dead_letter_actions.c.ended_at,
)
_this = dead_letter_actions.c.id == bindparam("action_id", type_=Uuid)
RECORD = insert(dead_letter_actions).values(
    # As text, because an engine's own json_serializer, which belongs to its owner, has no say.
    filter=cast(bindparam("filter_text", type_=Text), JSON)
)
ADD_UP = (
    update(dead_letter_actions)
    .where(_this)
    .values(done=dead_letter_actions.c.done + bindparam("more"))
    .returning(*_actions)
)
END = update(dead_letter_actions).where(_this).values(skipped=bindparam("left"), ended_at=NOW).returning(*_actions)
FIND_ACTION = select(*_actions).where(_this)
ACTIONS = select(*_actions).order_by(dead_letter_actions.c.id.desc()).limit(bindparam("limit"))


class PostgresDeadLetters:
    """Implements DeadLetters."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def newest(self, wanted: LetterFilter, limit: int, after: LetterPlace | None) -> Sequence[WorkerTask]:
        behind = true() if after is None else _place() < _given(after)
        statement = (
            select(*columns_of(dead))
            .where(_fits(wanted), behind)
            .order_by(dead.c.finished_at.desc(), dead.c.id.desc())
            .limit(limit)
        )
        return [to_task(row) for row in self._statements.run(statement)]

    def summary(self, wanted: LetterFilter) -> LetterSummary:
        kind = (dead.c.type, dead.c.reason)
        counted = select(
            *kind, func.count(), func.min(dead.c.finished_at), func.max(dead.c.finished_at), func.count().filter(_loops)
        )
        rows = self._statements.run(counted.where(_fits(wanted)).group_by(*kind).order_by(*_in_bytes(kind)))
        return LetterSummary(
            groups=tuple(
                LetterGroup(
                    type=type, reason=DeathReason(reason), number=number, oldest=oldest, newest=newest, looping=looping
                )
                for type, reason, number, oldest, newest, looping in rows
            )
        )

    def requeue(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None, force: bool) -> Moved:
        chosen = _chosen(wanted, limit, after, true() if force else ~_loops)
        # Errors and the number of leases stay; the rest is as when it was new.
        own: dict[str, Any] = {
            "status": literal(str(TaskStatus.PENDING), Text),
            "attempts": literal(0),
            "scheduled_at": NOW,
            "worker_id": cast(null(), Text),
            "expires_at": cast(null(), Moment),
            "ready": literal(True),
        }
        kept = [each.name for each in dead.c if each.name in tasks.c and each.name not in {*own, "requeues"}]
        columns = [dead.c[name] for name in dict.fromkeys([*kept, *_RETURNS])]
        gone = _gone(chosen, *columns, cast(_requeues + 1, SmallInteger).label("requeues"))
        back = insert(tasks).from_select(
            [*kept, "requeues", *own], select(*(gone.c[name] for name in [*kept, "requeues"]), *own.values())
        )
        return self._moved(gone, back.cte("back"))

    def discard(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None) -> Moved:
        gone = _gone(_chosen(wanted, limit, after, true()), dead.c.id, *(dead.c[name] for name in _RETURNS))
        return self._moved(gone)

    def _moved(self, gone: CTE, *more: CTE) -> Moved:
        counted = tallied(gone, sign=-1, shelf=literal(Shelf.DEAD, SmallInteger))
        statement = select(gone.c.id, gone.c.queue, gone.c.finished_at).add_cte(counted, *more)
        rows = self._statements.run(statement.order_by(gone.c.finished_at, gone.c.id), timed=True)
        last = LetterPlace(rows[-1][2], rows[-1][0]) if rows else None
        return Moved([row[0] for row in rows], frozenset(row[1] for row in rows), last)

    def record(self, action: LetterAction) -> None:
        self._statements.change(
            RECORD,
            {
                "id": action.id,
                "at": action.at,
                "action": str(action.kind),
                "actor": action.actor,
                "filter_text": json.dumps(action.filter),
                "forced": action.forced,
                "total": action.total,
                "done": action.done,
                "skipped": action.skipped,
                "task_id": action.task_id,
                "ended_at": action.ended_at,
            },
        )

    def add_up(self, action_id: ActionId, *, done: int) -> LetterAction | None:
        return _action(self._statements.run(ADD_UP, {"action_id": action_id, "more": done}))

    def end(self, action_id: ActionId, *, skipped: int) -> LetterAction | None:
        return _action(self._statements.run(END, {"action_id": action_id, "left": skipped}, timed=True))

    def actions(self, limit: int) -> Sequence[LetterAction]:
        return [_to_action(row) for row in self._statements.run(ACTIONS, {"limit": limit})]

    def find_action(self, action_id: ActionId) -> LetterAction | None:
        return _action(self._statements.run(FIND_ACTION, {"action_id": action_id}))


def _fits(wanted: LetterFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.type is not None:
        is_pattern = "*" in wanted.type
        # Not LIKE where it can be helped: that is no use to the index.
        conditions.append(
            dead.c.type.like(like(wanted.type), escape="\\") if is_pattern else dead.c.type == wanted.type
        )
    if wanted.queue is not None:
        conditions.append(func.coalesce(dead.c.letter_queue, dead.c.queue) == wanted.queue)
    if wanted.reason is not None:
        conditions.append(dead.c.reason == str(wanted.reason))
    if wanted.error is not None:
        conditions.append(func.strpos(dead.c.error, wanted.error) > 0)
    if wanted.died_after is not None:
        conditions.append(dead.c.finished_at >= wanted.died_after)
    if wanted.died_before is not None:
        conditions.append(dead.c.finished_at < wanted.died_before)
    if wanted.ids is not None:
        conditions.append(dead.c.id == any_(bindparam("ids", list(wanted.ids), type_=ArrayText(Uuid))))
    return and_(true(), *conditions)


def _chosen(wanted: LetterFilter, limit: int, after: LetterPlace | None, which: ColumnElement[bool]) -> CTE:
    """The earliest of those that are wanted, in our hands."""
    behind = true() if after is None else _place() > _given(after)
    return (
        select(dead.c.id)
        .where(_fits(wanted), behind, which)
        .order_by(dead.c.finished_at, dead.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
        .prefix_with("MATERIALIZED")
    )


def _gone(chosen: CTE, *columns: ColumnElement[Any]) -> CTE:
    # As one array, for there is nothing to choose about how its rows are found: see ValuesById.
    ids = select(func.array_agg(chosen.c.id)).scalar_subquery()
    return delete(dead).where(dead.c.id == any_(cast(ids, ARRAY(Uuid)))).returning(*columns).cte("gone")


def _place() -> Any:
    return tuple_(dead.c.finished_at, dead.c.id)


def _given(place: LetterPlace) -> Any:
    return tuple_(literal(place.died_at, Moment), literal(place.id, Uuid))


def _in_bytes(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """In the order of Python, whatever the database's own."""
    return [column.collate("C") for column in columns]


def _action(rows: Sequence[Sequence[Any]]) -> LetterAction | None:
    return _to_action(rows[0]) if rows else None


def _to_action(row: Sequence[Any]) -> LetterAction:
    id, at, kind, actor, filter, total, done, skipped, forced, task_id, task_status, ended_at = row
    return LetterAction(
        id=id,
        at=at,
        kind=LetterActionKind(kind),
        actor=actor,
        filter=decoded(filter),
        total=total,
        done=done,
        skipped=skipped,
        forced=forced,
        task_id=task_id,
        task_status=None if task_status is None else TaskStatus(task_status),
        ended_at=ended_at,
    )
