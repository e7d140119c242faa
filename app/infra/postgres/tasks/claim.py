"""Claim: due tasks, taken in one statement, with the question of how long a worker may sleep."""

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Text, any_, bindparam, exists, func, select, update

from app.domain.tasks.repository import ClaimRequest
from app.domain.tasks.status import Transition
from app.infra.postgres.moments import NOW, seconds_until
from app.infra.postgres.tables import tasks, workers
from app.infra.postgres.tasks.rows import COLUMNS

_IS_CLAIMABLE = tasks.c.status == str(Transition.CLAIM.sources[0])


def _wanted(by_queue: bool) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [
        _IS_CLAIMABLE,
        tasks.c.type == any_(bindparam("types", type_=ARRAY(Text))),
    ]
    if by_queue:
        wanted.append(tasks.c.queue == any_(bindparam("queues", type_=ARRAY(Text))))
    return wanted


def _claim(by_queue: bool) -> Any:
    due = (
        select(tasks.c.id)
        .where(
            *_wanted(by_queue),
            tasks.c.scheduled_at <= NOW,
            # A worker that was buried must not take tasks that nobody would look for.
            exists().where(workers.c.id == bindparam("worker_id", type_=Text)),
        )
        .order_by(tasks.c.priority.desc(), tasks.c.scheduled_at, tasks.c.id)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True, of=tasks)
        .cte("due")
        # Without this the planner may run the subquery again for each row and lock more than the limit.
        .prefix_with("MATERIALIZED")
    )
    return (
        update(tasks)
        .where(tasks.c.id == due.c.id)
        .values(
            status=str(Transition.CLAIM.target),
            attempts=tasks.c.attempts + 1,
            lease_seq=tasks.c.lease_seq + 1,
            worker_id=bindparam("worker_id", type_=Text),
            started_at=NOW,
        )
        .returning(*COLUMNS)
    )


def _next_due(by_queue: bool) -> Any:
    return select(seconds_until(func.min(tasks.c.scheduled_at))).where(*_wanted(by_queue))


CLAIM = {by_queue: _claim(by_queue) for by_queue in (False, True)}
NEXT_DUE = {by_queue: _next_due(by_queue) for by_queue in (False, True)}
HELD_BY = select(*COLUMNS).where(
    tasks.c.worker_id == bindparam("worker_id", type_=Text), tasks.c.status == str(Transition.CLAIM.target)
)


def filter_parameters(request: ClaimRequest) -> dict[str, Any]:
    wanted: dict[str, Any] = {"types": list(request.types)}
    if request.queues:
        wanted["queues"] = list(request.queues)
    return wanted
