"""Settle: the outcomes of a batch of attempts in one UPDATE, each behind the fence of its lease."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Double,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import (
    TRANSITION_OF,
    Completed,
    Failed,
    GivenUp,
    Released,
    RetryIn,
    Settlement,
    Snoozed,
)
from app.domain.tasks.repository import Progress
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import MAX_ERRORS
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.tables import tasks

_RUNNING = str(TaskStatus.RUNNING)

_leases = (bindparam("ids", type_=ARRAY(Uuid)), bindparam("lease_seqs", type_=ARRAY(BigInteger)))

_ended = (
    func.unnest(
        *_leases,
        bindparam("statuses", type_=ARRAY(Text)),
        bindparam("delays", type_=ARRAY(Double)),
        bindparam("given_back", type_=ARRAY(Integer)),
        bindparam("results", type_=ARRAY(Text)),
        bindparam("lines", type_=ARRAY(Text)),
        bindparam("failures", type_=ARRAY(Text)),
    )
    .table_valued(
        column("id", Uuid),
        column("lease_seq", BigInteger),
        column("status", Text),
        column("delay", Double),
        column("given_back", Integer),
        column("result", Text),
        column("line", Text),
        column("failure", Text),
        name="ended",
    )
    .render_derived()
)
_holds_lease = and_(
    tasks.c.id == _ended.c.id,
    tasks.c.lease_seq == _ended.c.lease_seq,  # the fence: a newer claim wins
    tasks.c.status == _RUNNING,
)
_kept_errors = case(
    (func.jsonb_array_length(tasks.c.errors) >= MAX_ERRORS, tasks.c.errors.op("-")(0)), else_=tasks.c.errors
)
_new_error = cast(_ended.c.failure, JSONB).op("||")(func.jsonb_build_object("attempt", tasks.c.attempts, "at", NOW))

SETTLE = (
    update(tasks)
    .where(_holds_lease)
    .values(
        status=_ended.c.status,
        attempts=tasks.c.attempts - _ended.c.given_back,
        lease_seq=tasks.c.lease_seq + bindparam("raised", type_=Integer),
        scheduled_at=case((_ended.c.delay.is_(None), tasks.c.scheduled_at), else_=after(_ended.c.delay)),
        finished_at=case((_ended.c.status == str(TaskStatus.PENDING), null()), else_=NOW),
        result=cast(_ended.c.result, JSON),
        error=case(
            (_ended.c.status == str(TaskStatus.COMPLETED), null()),
            else_=func.coalesce(_ended.c.line, tasks.c.error),
        ),
        errors=case(
            (_ended.c.failure.is_(None), tasks.c.errors),
            else_=_kept_errors.op("||")(func.jsonb_build_array(_new_error)),
        ),
        worker_id=case((_ended.c.status == str(TaskStatus.PENDING), null()), else_=tasks.c.worker_id),
    )
    .returning(tasks.c.id, NOW)
)

_asked = func.unnest(*_leases).table_valued(column("id", Uuid), column("lease_seq", BigInteger), name="asked")
_asked = _asked.render_derived()
SETTLED_BEFORE = select(tasks.c.id, NOW).where(
    tasks.c.id == _asked.c.id, tasks.c.lease_seq == _asked.c.lease_seq, tasks.c.status != _RUNNING
)

_reported = (
    func.unnest(*_leases, bindparam("percents", type_=ARRAY(Double)), bindparam("messages", type_=ARRAY(Text)))
    .table_valued(
        column("id", Uuid),
        column("lease_seq", BigInteger),
        column("percent", Double),
        column("message", Text),
        name="reported",
    )
    .render_derived()
)
REPORT = (
    update(tasks)
    .where(tasks.c.id == _reported.c.id, tasks.c.lease_seq == _reported.c.lease_seq, tasks.c.status == _RUNNING)
    .values(progress=_reported.c.percent, progress_message=_reported.c.message)
    .returning(tasks.c.id)
)


def lease_parameters(settlements: Sequence[Settlement] | Sequence[Progress]) -> dict[str, Any]:
    return {
        "ids": [one.task_id for one in settlements],
        "lease_seqs": [one.lease_seq for one in settlements],
    }


def settle_parameters(settlements: Sequence[Settlement]) -> dict[str, Any]:
    rows = [_columns(one) for one in settlements]
    return lease_parameters(settlements) | {
        "statuses": [row[0] for row in rows],
        "delays": [row[1] for row in rows],
        "given_back": [row[2] for row in rows],
        "results": [row[3] for row in rows],
        "lines": [row[4] for row in rows],
        "failures": [row[5] for row in rows],
    }


def _columns(one: Settlement) -> tuple[str, float | None, int, str | None, str | None, str | None]:
    """Status, delay, attempts given back, result, line of error, failure: as WorkerTask.settle does it."""
    status = str(TRANSITION_OF[type(one.outcome)].target)
    match one.outcome:
        case Completed(result):
            return status, None, 0, result.text, None, None
        case Failed(failure):
            return status, None, 0, None, str(failure), _encoded(failure)
        case RetryIn(failure, delay):
            return status, delay, 0, None, str(failure), _encoded(failure)
        case GivenUp(reason):
            return status, None, 0, None, reason, None
        case Snoozed(delay):
            return status, delay, 1, None, None, None
        case Released():
            return status, None, 1, None, None, None


def _encoded(failure: Failure) -> str:
    return json.dumps({"type": failure.type, "message": failure.message, "traceback": failure.traceback})
