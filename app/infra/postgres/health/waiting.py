"""What waits, by queue and by type, found by steps into the claim's index and never by reading through it."""

from typing import Any

from sqlalchemy import CTE, Integer, Text, cast, func, literal, not_, null, select, true, tuple_

from app.domain.tasks.status import Transition
from app.infra.postgres.moments import NOW, seconds_until
from app.infra.postgres.tables import tasks

LANES = 1_000
"""Pairs of queue and priority that are looked at; each is a step into the index."""
HEAD = 1_000
"""Rows of each lane whose type is looked at, and of those that nobody has made ready yet."""
SAMPLE = 10_000
"""The same in all."""

_urgency = tasks.c.priority.bitwise_not()
# By what it is not: of a table that was never analysed the planner believes that few rows have a given status.
_is_claimable = tasks.c.ready & (tasks.c.status != str(Transition.CLAIM.target))


def _lanes() -> CTE:
    """The first pairs of queue and priority that have ready tasks, in the index's order."""
    first = (
        select(tasks.c.queue.label("queue"), _urgency.label("urgency"))
        .where(tasks.c.ready)
        .order_by(tasks.c.queue, _urgency)
        .limit(1)
        .subquery()
    )
    lanes = select(first.c.queue, first.c.urgency, literal(1, Integer).label("number")).cte("lanes", recursive=True)
    following = (
        select(tasks.c.queue, _urgency.label("urgency"))
        .where(tasks.c.ready, tuple_(tasks.c.queue, _urgency) > tuple_(lanes.c.queue, lanes.c.urgency))
        .order_by(tasks.c.queue, _urgency)
        .limit(1)
        .correlate(lanes)
        .lateral("following")
    )
    return lanes.union_all(
        select(following.c.queue, following.c.urgency, lanes.c.number + 1)
        .select_from(lanes.join(following, true()))
        .where(lanes.c.number < LANES)
    )


def _heads(limit: int) -> Any:
    """The longest waiting tasks of each lane. Claimed ones are still in the index, and stepped over."""
    lanes = _lanes()
    place, lane = tuple_(tasks.c.queue, _urgency), tuple_(lanes.c.queue, lanes.c.urgency)
    head = (
        select(tasks.c.type, tasks.c.version, tasks.c.scheduled_at)
        # Said by two inequalities: of an equality the planner believes that it leaves few rows, for it knows nothing of
        # the values of ~priority, and then it reads and sorts them all.
        .where(place >= lane, place <= lane, _is_claimable)
        .order_by(tasks.c.queue, _urgency, tasks.c.scheduled_at)
        .limit(limit)
        .correlate(lanes)
        .lateral("head")
    )
    return (
        select(lanes.c.queue, lanes.c.urgency, head.c.type, head.c.version, head.c.scheduled_at)
        .select_from(lanes.join(head, true()))
        .limit(SAMPLE)
        .subquery("heads")
    )


# Made ready by the next claim; without a worker, that may be long.
_overdue = (
    select(tasks.c.queue, cast(null(), Integer).label("urgency"), tasks.c.type, tasks.c.version, tasks.c.scheduled_at)
    # Said as the index says it: from IS FALSE the planner does not conclude that.
    .where(not_(tasks.c.ready), tasks.c.scheduled_at <= NOW)
    .order_by(tasks.c.scheduled_at)
    .limit(HEAD)
    .subquery("overdue")
)


def _due(limit: int) -> Any:
    return select(_heads(limit)).union_all(select(_overdue)).subquery("due")


def _waiting_queues() -> Any:
    due = _due(1)
    seconds = -seconds_until(func.min(due.c.scheduled_at))
    return select(cast(due.c.queue, Text), seconds).group_by(due.c.queue).order_by(seconds.desc(), due.c.queue)


def _waiting_types() -> Any:
    due = _due(HEAD)
    seconds = -seconds_until(func.min(due.c.scheduled_at))
    columns = (due.c.queue, due.c.urgency, due.c.type, func.coalesce(due.c.version, 1))
    return select(*columns, func.count(), seconds).group_by(*columns)


WAITING_QUEUES = _waiting_queues()
WAITING_TYPES = _waiting_types()
