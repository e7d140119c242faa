"""Claim: ready tasks, taken in one statement, with what makes waiting ones ready when their time has come."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    column,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    update,
)

from app.domain.garbage import left_alone
from app.domain.tasks.repository import Claimed, ClaimRequest
from app.domain.tasks.status import Transition
from app.infra.postgres.moments import NOW, seconds_until
from app.infra.postgres.statements import Rows
from app.infra.postgres.tables import tasks, workers
from app.infra.postgres.tasks.rows import CLAIMED, COLUMNS, to_claimed

PROMOTED_AT_ONCE = 2_000
"""Waiting tasks that become ready in one statement, so that a million due at midnight do not make one long one."""

EXPLAINED = 0.00001
"""Seconds of a search that each task it finds explains, generously: it takes one to three microseconds."""

_queue = bindparam("only_queue", type_=Text)
_queues = bindparam("queues", type_=ARRAY(Text))
_limit = bindparam("limit", type_=Integer)
_types = bindparam("types", type_=ARRAY(Text))
_of_types = tasks.c.type == any_(_types)
# As a subquery, because nothing else that is a parameter can be followed by a subscript.
_versions = type_coerce(
    select(bindparam("versions", type_=ARRAY(Integer))).scalar_subquery(), ARRAY(Integer, zero_indexes=False)
)
# NULL is the first version, which everybody knows; of those that have none, nothing more is looked at.
_is_known = or_(
    tasks.c.version.is_(None),
    tasks.c.version <= func.coalesce(_versions[func.array_position(_types, tasks.c.type)], 1),
)
_urgency = tasks.c.priority.bitwise_not()


def _likely(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """*condition*, of which the planner must not think that nearly nothing fulfils it.

    From statistics that know other types alone, or running tasks alone, it would conclude that the end of the lane
    comes before the limit, and read and sort the whole table for each lane. To the question whether an expression
    is NULL it answers "hardly ever", whatever the expression.
    """
    return func.nullif(condition, false()).is_not(None)


_SINCE = func.date_part("epoch", func.clock_timestamp() - func.statement_timestamp())
"""Seconds of the server's that the statement has taken until here."""

# What has begun once has begun in time.
_is_in_time = or_(tasks.c.expires_at.is_(None), tasks.c.expires_at > NOW, tasks.c.started_at.is_not(None))
_is_pending = tasks.c.status == str(Transition.CLAIM.sources[0])
# A worker that was buried must not take tasks that nobody would look for.
_is_registered = exists().where(workers.c.id == bindparam("worker_id", type_=Text))
_is_claimable = and_(tasks.c.ready, _likely(and_(_is_pending, _of_types, _is_known, _is_in_time)))


def _lanes() -> FromClause:
    """Every queue that has ready tasks, each found by one step into the index instead of by reading it through."""
    first = select(tasks.c.queue.label("queue")).where(tasks.c.ready).order_by(tasks.c.queue).limit(1).subquery()
    lanes = select(first.c.queue).cte("lanes", recursive=True)
    following = (
        select(tasks.c.queue)
        .where(tasks.c.ready, tasks.c.queue > lanes.c.queue)
        .order_by(tasks.c.queue)
        .limit(1)
        .scalar_subquery()
    )
    return lanes.union_all(select(following).where(lanes.c.queue.is_not(None)))


def _head(*lane: ColumnElement[bool]) -> Any:
    """The first claimable tasks of one queue (what *lane* says of it is read off the index), in order, locked."""
    return (
        select(tasks.c.priority, tasks.c.scheduled_at, tasks.c.id, tasks.c.ctid.label("place"))
        .where(
            *lane,
            _is_claimable,
            _is_registered,
        )
        .order_by(_urgency, tasks.c.scheduled_at, tasks.c.id)
        .limit(_limit)
        .with_for_update(skip_locked=True, of=tasks)
    )


def _lies_at(places: Any) -> ColumnElement[bool]:
    """At one of the *places* of rows that we have locked.

    Nobody moves those, and a place needs no index. As an array the places are found once, before anything is changed
    and whatever the statistics say; joined to them, a table taken for small would be read through.
    """
    return tasks.c.ctid == any_(func.array(places.scalar_subquery(), type_=ARRAY(Text)))


def _claim(due: Any) -> Any:
    """Take the tasks at the places that *due* names."""
    return _taken(_lies_at(due))


def _taken(*which: ColumnElement[bool]) -> Any:
    return (
        update(tasks)
        .where(*which)
        .values(
            status=str(Transition.CLAIM.target),
            attempts=tasks.c.attempts + 1,
            lease_seq=tasks.c.lease_seq + 1,
            worker_id=bindparam("worker_id", type_=Text),
            started_at=NOW,
        )
        .returning(*CLAIMED, _SINCE.label("took"))
    )


def _claim_across(lanes: Any, *lane: ColumnElement[bool]) -> Any:
    """From several queues: the heads of all, and of these the most urgent."""
    head = _head(tasks.c.queue == lanes.c.queue, *lane).correlate(lanes).lateral("head")
    return _claim(
        select(head.c.place)
        .select_from(lanes.join(head, true()))
        .order_by(head.c.priority.desc(), head.c.scheduled_at, head.c.id)
        .limit(_limit)
    )


def _behind(place: Any) -> ColumnElement[bool]:
    """Behind *place* in its queue: as one comparison of rows, which the index answers by starting there."""
    return tuple_(_urgency, tasks.c.scheduled_at, tasks.c.id) > tuple_(
        place.priority.bitwise_not(), place.scheduled_at, place.id
    )


_named = func.unnest(_queues).table_valued(column("queue", Text), name="named").render_derived()

_places = (
    func.unnest(
        _queues,
        bindparam("after_priorities", type_=ARRAY(Integer)),
        bindparam("after_times", type_=ARRAY(DateTime(timezone=True))),
        bindparam("after_ids", type_=ARRAY(Uuid)),
    )
    .table_valued(
        column("queue", Text),
        column("priority", Integer),
        column("scheduled_at", DateTime(timezone=True)),
        column("id", Uuid),
        name="places",
    )
    .render_derived()
)

CLAIM_FROM_ONE = _claim(_head(tasks.c.queue == _queue).with_only_columns(tasks.c.ctid))
CLAIM_FROM_SOME = _claim_across(_named)
CLAIM_FROM_ALL = _claim_across(_lanes())
CLAIM_ONWARDS = _claim_across(_places, _behind(_places.c))
# Not by its place: whoever has it locked may leave it at another one, and it must be found there.
CLAIM_BY_ID = _taken(
    tasks.c.id == bindparam("task_id", type_=Uuid), _is_pending, _of_types, _is_known, _is_in_time, _is_registered
)


def _looked_at(lanes: Any, limit: Any) -> Any:
    """The heads of *lanes*, not locked."""
    unlocked = (
        select(tasks.c.id)
        .where(tasks.c.queue == lanes.c.queue, _is_claimable)
        .order_by(_urgency, tasks.c.scheduled_at, tasks.c.id)
        .limit(limit)
    )
    return lanes.join(unlocked.correlate(lanes).lateral("head"), true())


def _time_front(lanes: Any) -> Any:
    """How long the heads take to be found, by the server's clock, less what each of them is worth."""
    # Beside the count, so that the clock is read when all are counted.
    return select(_SINCE - func.count() * EXPLAINED).select_from(_looked_at(lanes, _limit))


TIME_FRONT_OF_SOME = _time_front(_named)
TIME_FRONT_OF_ALL = _time_front(_lanes())


def _next_due(lanes: Any, *wanted: ColumnElement[bool]) -> Any:
    some_ready = select(literal(0.0)).select_from(_looked_at(lanes, 1)).limit(1).scalar_subquery()
    first_waiting = (
        select(func.greatest(0.0, seconds_until(tasks.c.scheduled_at)))
        .where(~tasks.c.ready, _likely(and_(_of_types, _is_known, *wanted)))
        .order_by(tasks.c.scheduled_at)
        .limit(1)
        .scalar_subquery()
    )
    return select(func.coalesce(some_ready, first_waiting))


NEXT_DUE_OF_SOME = _next_due(_named, tasks.c.queue == any_(_queues))
NEXT_DUE_OF_ALL = _next_due(_lanes())

_ripe = (
    select(tasks.c.ctid)
    .where(~tasks.c.ready, tasks.c.scheduled_at <= NOW)
    .order_by(tasks.c.scheduled_at)
    .limit(PROMOTED_AT_ONCE)
    .with_for_update(skip_locked=True)
)
PROMOTE = update(tasks).where(_lies_at(_ripe)).values(ready=True)

HELD_BY = select(*COLUMNS).where(
    tasks.c.worker_id == bindparam("worker_id", type_=Text), tasks.c.status == str(Transition.CLAIM.target)
)


def claim_of(request: ClaimRequest) -> tuple[Any, dict[str, Any]]:
    """The statement that serves *request* best, and its parameters."""
    parameters: dict[str, Any] = {
        **_known(request),
        "worker_id": request.worker_id,
        "limit": request.limit,
    }
    if request.after:
        return CLAIM_ONWARDS, parameters | {
            "queues": [place.queue for place in request.after],
            "after_priorities": [place.priority for place in request.after],
            "after_times": [place.scheduled_at for place in request.after],
            "after_ids": [place.id for place in request.after],
        }
    match request.queues:
        case ():
            return CLAIM_FROM_ALL, parameters
        case (queue,):
            return CLAIM_FROM_ONE, parameters | {"only_queue": queue}
        case _:
            return CLAIM_FROM_SOME, parameters | {"queues": list(request.queues)}


def _known(request: ClaimRequest) -> dict[str, Any]:
    return {"types": list(request.types), "versions": list(request.versions)}


@left_alone
def claimed_in(rows: Rows) -> Claimed:
    """What a claim took, of which these are the *rows*."""
    tasks = [to_claimed(row[:-1]) for row in rows]
    # UPDATE … RETURNING promises no order. The number of an id, because UUIDs compare themselves in Python.
    tasks.sort(key=lambda task: (-task.priority, task.scheduled_at, task.id.int))
    # The search was over when the first of them was changed.
    return Claimed(tasks, rows[0][-1] - len(rows) * EXPLAINED if rows else None)


def next_due_of(request: ClaimRequest) -> tuple[Any, dict[str, Any]]:
    parameters = _known(request)
    if request.queues:
        return NEXT_DUE_OF_SOME, parameters | {"queues": list(request.queues)}
    return NEXT_DUE_OF_ALL, parameters


def time_front_of(request: ClaimRequest) -> tuple[Any, dict[str, Any]]:
    parameters = _known(request) | {"limit": request.limit}
    if request.queues:
        return TIME_FRONT_OF_SOME, parameters | {"queues": list(request.queues)}
    return TIME_FRONT_OF_ALL, parameters
