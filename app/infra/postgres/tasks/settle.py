"""Settle: the outcomes of a batch of attempts, each behind the fence of its lease.

Two statements at most: what is over moves to ``finished``, what comes back stays where it is.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Double,
    FromClause,
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import TRANSITION_OF, Failed, GivenUp, Outcome, RetryIn, Settlement, Snoozed
from app.domain.tasks.repository import Progress
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import MAX_ERRORS
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.tables import finished, tasks
from app.infra.postgres.tasks.tally import tallied

_RUNNING = str(TaskStatus.RUNNING)
_COMPLETED = str(TaskStatus.COMPLETED)

# By one in the place of a worker that died, as its next claim would: see WorkerTask.take_back.
_raised = tasks.c.lease_seq + bindparam("raised", type_=Integer)

_KINDS = {"id": Uuid, "lease_seq": BigInteger, "delay": Double, "given_back": Integer, "percent": Double}


def _given(name: str, *columns: str) -> Any:
    """A row for each element of the array parameters, which are named like the columns, in the plural."""
    kinds = {each: _KINDS.get(each, Text) for each in columns}
    arrays: list[Any] = [bindparam(_plural(each), type_=ARRAY(kind)) for each, kind in kinds.items()]
    return func.unnest(*arrays).table_valued(*(column(*pair) for pair in kinds.items()), name=name).render_derived()


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("s") else f"{name}s"


def _holds_lease(given: FromClause) -> Any:
    return and_(
        tasks.c.id == given.c.id,
        tasks.c.lease_seq == given.c.lease_seq,  # the fence: a newer claim wins
        tasks.c.status == _RUNNING,
    )


def _errors_with(given: FromClause) -> Any:
    before = func.coalesce(tasks.c.errors, cast(literal("[]", Text), JSONB))
    kept = case((func.jsonb_array_length(before) >= MAX_ERRORS, before.op("-")(0)), else_=before)
    entry = cast(given.c.failure, JSONB).op("||")(func.jsonb_build_object("attempt", tasks.c.attempts, "at", NOW))
    return case((given.c.failure.is_(None), tasks.c.errors), else_=kept.op("||")(func.jsonb_build_array(entry)))


def _finish() -> Any:
    """The end of a task that did not complete."""
    ended = _given("ended", "id", "lease_seq", "status", "line", "failure")
    changed = {
        "status": ended.c.status,
        "lease_seq": _raised,
        "error": func.coalesce(ended.c.line, tasks.c.error),
        "errors": _errors_with(ended),
    }
    kept = [each.name for each in finished.c if each.name not in {"finished_at", "result"}]
    gone = (
        delete(tasks)
        .where(_holds_lease(ended))
        .returning(*((changed[name] if name in changed else tasks.c[name]).label(name) for name in kept))
        .cte("gone")
    )
    moved = select(*(gone.c[name] for name in kept), NOW)
    return (
        insert(finished)
        .from_select([*kept, "finished_at"], moved)
        .returning(finished.c.id, finished.c.finished_at)
        .add_cte(tallied(gone, sign=1, finished_at=NOW))
    )


def _complete() -> Any:
    """The way of nearly all tasks, with as little in it as they need."""
    done = _given("done", "id", "lease_seq", "result")
    kept = [each.name for each in finished.c if each.name not in {"status", "error", "finished_at", "result"}]
    gone = (
        delete(tasks)
        .where(_holds_lease(done))
        .returning(*(tasks.c[name] for name in kept), cast(done.c.result, JSON).label("result"))
        .cte("gone")
    )
    moved = select(*(gone.c[name] for name in kept), literal(_COMPLETED, Text), gone.c.result, NOW)
    return (
        insert(finished)
        .from_select([*kept, "status", "result", "finished_at"], moved)
        .returning(finished.c.id, finished.c.finished_at)
        .add_cte(tallied(gone, sign=1, finished_at=NOW, status=literal(_COMPLETED, Text)))
    )


def _put_back() -> Any:
    back = _given("back", "id", "lease_seq", "delay", "given_back", "line", "failure")
    return (
        update(tasks)
        .where(_holds_lease(back))
        .values(
            status=str(TaskStatus.PENDING),
            attempts=tasks.c.attempts - back.c.given_back,
            lease_seq=_raised,
            scheduled_at=case((back.c.delay.is_(None), tasks.c.scheduled_at), else_=after(back.c.delay)),
            ready=func.coalesce(back.c.delay, 0.0) <= 0.0,
            error=func.coalesce(back.c.line, tasks.c.error),
            errors=_errors_with(back),
            worker_id=null(),
        )
        .returning(tasks.c.id, NOW)
    )


def _settled_before() -> Any:
    asked = _given("asked", "id", "lease_seq")
    here = select(tasks.c.id, NOW).where(
        tasks.c.id == asked.c.id, tasks.c.lease_seq == asked.c.lease_seq, tasks.c.status != _RUNNING
    )
    gone = select(finished.c.id, NOW).where(finished.c.id == asked.c.id, finished.c.lease_seq == asked.c.lease_seq)
    return here.union_all(gone)


def _report() -> Any:
    reported = _given("reported", "id", "lease_seq", "percent", "message")
    return (
        update(tasks)
        .where(_holds_lease(reported))
        .values(progress=reported.c.percent, progress_message=reported.c.message)
        .returning(tasks.c.id)
    )


COMPLETE = _complete()
FINISH = _finish()
PUT_BACK = _put_back()
SETTLED_BEFORE = _settled_before()
REPORT = _report()


def lease_parameters(addressed: Sequence[Settlement] | Sequence[Progress]) -> dict[str, list[Any]]:
    return {"ids": [one.task_id for one in addressed], "lease_seqs": [one.lease_seq for one in addressed]}


def complete_parameters(settlements: Sequence[Settlement], results: Sequence[str]) -> dict[str, list[Any]]:
    return lease_parameters(settlements) | {"results": list(results)}


def finish_parameters(settlements: Sequence[Settlement]) -> dict[str, list[Any]]:
    outcomes = [one.outcome for one in settlements]
    return lease_parameters(settlements) | {
        "statuses": [str(TRANSITION_OF[type(outcome)].target) for outcome in outcomes],
        "lines": [_line(outcome) for outcome in outcomes],
        "failures": [_failure(outcome) for outcome in outcomes],
    }


def put_back_parameters(settlements: Sequence[Settlement]) -> dict[str, list[Any]]:
    outcomes = [one.outcome for one in settlements]
    return lease_parameters(settlements) | {
        "delays": [outcome.delay if isinstance(outcome, RetryIn | Snoozed) else None for outcome in outcomes],
        "given_backs": [0 if isinstance(outcome, RetryIn) else 1 for outcome in outcomes],
        "lines": [_line(outcome) for outcome in outcomes],
        "failures": [_failure(outcome) for outcome in outcomes],
    }


def _line(outcome: Outcome) -> str | None:
    match outcome:
        case Failed(failure) | RetryIn(failure):
            return str(failure)
        case GivenUp(reason):
            return reason
        case _:
            return None


def _failure(outcome: Outcome) -> str | None:
    return _encoded(outcome.failure) if isinstance(outcome, Failed | RetryIn) else None


def _encoded(failure: Failure) -> str:
    return json.dumps({"type": failure.type, "message": failure.message, "traceback": failure.traceback})
