"""Settle: the outcomes of a batch of attempts, each behind the fence of its lease.

What is over moves to ``finished``, what comes back stays where it is; what has completed, nearly all, has a statement
with as little in it as it needs.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.identifiers import TaskId
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import TRANSITION_OF, Completed, Failed, GivenUp, Outcome, RetryIn, Snoozed
from app.domain.tasks.repository import Progress, Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import MAX_ERRORS
from app.infra.postgres.arrays import ValuesById
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.tables import Shelf, finished, tasks
from app.infra.postgres.tasks.tally import tallied

_RUNNING = str(TaskStatus.RUNNING)
_COMPLETED = str(TaskStatus.COMPLETED)
_CANCELLED = str(TaskStatus.CANCELLED)

LEASE: dict[str, Any] = {"id": Uuid, "lease_seq": BigInteger}

# By one in the place of a worker that died, as its next claim would: see WorkerTask.take_back.
_raised = tasks.c.lease_seq + bindparam("raised", type_=Integer)


def holds_lease(given: ValuesById) -> Any:
    return and_(given.names(tasks.c.id), fenced(given))


_was_cancelled = tasks.c.cancel_requested_at.is_not(None)
"""While it ran: however it ends, it ends cancelled."""


def fenced(given: ValuesById) -> Any:
    return and_(
        tasks.c.lease_seq == given.of(tasks.c.id, "lease_seq"),  # the fence: a newer claim wins
        tasks.c.status == _RUNNING,
    )


def _errors_with(failure: ColumnElement[Any]) -> Any:
    before = func.coalesce(tasks.c.errors, cast(literal("[]", Text), JSONB))
    kept = case((func.jsonb_array_length(before) >= MAX_ERRORS, before.op("-")(0)), else_=before)
    entry = cast(failure, JSONB).op("||")(func.jsonb_build_object("attempt", tasks.c.attempts, "at", NOW))
    return case((failure.is_(None), tasks.c.errors), else_=kept.op("||")(func.jsonb_build_array(entry)))


def checkpoint_of(given: ValuesById) -> Any:
    return func.coalesce(cast(given.of(tasks.c.id, "checkpoint"), JSON), tasks.c.checkpoint)


def _counted(changed: Any) -> Any:
    """When the rows of *changed* were changed, and which they were where that is not as many as were asked for."""
    ids = cast(func.array_agg(changed.c.id), Text)
    return select(NOW, func.count(), case((func.count() < bindparam("asked", type_=Integer), ids)))


def _moved(gone: Any, columns: Sequence[str], **own: Any) -> Any:
    """Move what is *gone* from tasks to finished, and count it there and here."""
    moved = select(*(gone.c[name] for name in columns), *own.values())
    kept = insert(finished).from_select([*columns, *own], moved).cte("kept")
    counted = tallied(gone, sign=1, finished_at=NOW, status=own.get("status"), shelf=own.get("shelf"))
    return _counted(gone).add_cte(kept, counted)


_ENDED = {"line": Text, "failure": Text, "checkpoint": Text}


def _finish() -> Any:
    """The end of a task that did not complete."""
    ended = ValuesById("ended", **LEASE, **_ENDED, status=Text, reason=Text, letter_queue=Text, shelf=SmallInteger)
    own = {name: ended.of(tasks.c.id, name) for name in ("reason", "letter_queue", "shelf")}
    return _ends(ended, ~_was_cancelled, own, status=ended.of(tasks.c.id, "status"))


def _finish_cancelled() -> Any:
    """The end of a task that was cancelled while it ran; why, was stored then."""
    ended = ValuesById("ended", **LEASE, **_ENDED)
    own = {"reason": null(), "letter_queue": null(), "shelf": literal(Shelf.DAYS, SmallInteger)}
    return _ends(ended, _was_cancelled, own, status=literal(_CANCELLED, Text), error=tasks.c.error)


def _ends(ended: ValuesById, which: ColumnElement[bool], own: dict[str, Any], **changes: Any) -> Any:
    changed = {
        "lease_seq": _raised,
        "error": func.coalesce(ended.of(tasks.c.id, "line"), tasks.c.error),
        "errors": _errors_with(ended.of(tasks.c.id, "failure")),
        "checkpoint": checkpoint_of(ended),
        **changes,
        **own,
    }
    kept = [each.name for each in finished.c if each.name not in {"finished_at", "result"}]
    gone = (
        delete(tasks)
        .where(holds_lease(ended), which)
        .returning(*((changed[name] if name in changed else tasks.c[name]).label(name) for name in kept))
        .cte("gone")
    )
    return _moved(gone, kept, finished_at=NOW)


def _complete() -> Any:
    done = ValuesById("done", **LEASE, result=Text)
    # Nobody will go on from where it was: the checkpoint goes.
    own = {"status", "error", "finished_at", "result", "checkpoint", "reason", "letter_queue", "shelf"}
    kept = [each.name for each in finished.c if each.name not in own]
    gone = (
        delete(tasks)
        .where(holds_lease(done), ~_was_cancelled)
        .returning(*(tasks.c[name] for name in kept), cast(done.of(tasks.c.id, "result"), JSON).label("result"))
        .cte("gone")
    )
    shelf = literal(Shelf.DAYS, SmallInteger)
    return _moved(gone, kept, status=literal(_COMPLETED, Text), result=gone.c.result, finished_at=NOW, shelf=shelf)


def _put_back() -> Any:
    back = ValuesById("back", **LEASE, delay=Double, given_back=Integer, line=Text, failure=Text, checkpoint=Text)
    delay = back.of(tasks.c.id, "delay")
    # Without a delay as before: one that was run ahead of its time, because somebody asked for it, still has to wait.
    scheduled_at = case((delay.is_(None), tasks.c.scheduled_at), else_=after(delay))
    changed = (
        update(tasks)
        .where(holds_lease(back), ~_was_cancelled)
        .values(
            status=str(TaskStatus.PENDING),
            attempts=tasks.c.attempts - back.of(tasks.c.id, "given_back"),
            lease_seq=_raised,
            scheduled_at=scheduled_at,
            ready=scheduled_at <= NOW,
            error=func.coalesce(back.of(tasks.c.id, "line"), tasks.c.error),
            errors=_errors_with(back.of(tasks.c.id, "failure")),
            checkpoint=checkpoint_of(back),
            worker_id=null(),
        )
        .returning(tasks.c.id)
        .cte("changed")
    )
    return _counted(changed)


def _settled_before() -> Any:
    asked = ValuesById("asked", **LEASE)
    here, gone = (
        select(table.c.id, NOW, table.c.status).where(
            asked.names(table.c.id), table.c.lease_seq == asked.of(table.c.id, "lease_seq")
        )
        for table in (tasks, finished)
    )
    return here.where(tasks.c.status != _RUNNING).union_all(gone)


COMPLETE = _complete()
FINISH = _finish()
FINISH_CANCELLED = _finish_cancelled()
PUT_BACK = _put_back()
SETTLED_BEFORE = _settled_before()


def by_id(settlements: Iterable[Settlement]) -> list[Settlement]:
    """In the order that the statements here rely on. One for all, so that two batches cannot deadlock either."""
    return sorted(settlements, key=lambda one: one.task.id.int)


def lease_parameters(settlements: Sequence[Settlement]) -> dict[str, list[Any]]:
    tasks = [one.task for one in settlements]
    return {"id_list": [task.id for task in tasks], "lease_seq_list": [task.lease_seq for task in tasks]}


def complete_parameters(settlements: Sequence[Settlement], *, raised: int) -> dict[str, Any]:
    # Nobody completes a task in another's place, so there is no fence to raise.
    results = [one.outcome.result.text for one in settlements if isinstance(one.outcome, Completed)]
    return lease_parameters(settlements) | {"asked": len(settlements), "result_list": results}


def finish_parameters(settlements: Sequence[Settlement], *, raised: int) -> dict[str, Any]:
    outcomes = [one.outcome for one in settlements]
    deaths = [outcome.death if isinstance(outcome, Failed) else None for outcome in outcomes]
    return lease_parameters(settlements) | {
        "asked": len(settlements),
        "raised": raised,
        "status_list": [str(TRANSITION_OF[type(outcome)].target) for outcome in outcomes],
        **_failures(settlements),
        "reason_list": [None if death is None else death.reason for death in deaths],
        "letter_queue_list": [None if death is None else death.queue for death in deaths],
        "shelf_list": [Shelf.DEAD if death is not None and death.is_letter else Shelf.DAYS for death in deaths],
    }


def finish_cancelled_parameters(settlements: Sequence[Settlement], *, raised: int) -> dict[str, Any]:
    return lease_parameters(settlements) | {"asked": len(settlements), "raised": raised, **_failures(settlements)}


def put_back_parameters(settlements: Sequence[Settlement], *, raised: int) -> dict[str, Any]:
    outcomes = [one.outcome for one in settlements]
    return lease_parameters(settlements) | {
        "asked": len(settlements),
        "raised": raised,
        "delay_list": [outcome.delay if isinstance(outcome, RetryIn | Snoozed) else None for outcome in outcomes],
        "given_back_list": [0 if isinstance(outcome, RetryIn) else 1 for outcome in outcomes],
        **_failures(settlements),
    }


def _failures(settlements: Sequence[Settlement]) -> dict[str, Any]:
    outcomes = [one.outcome for one in settlements]
    return {
        "line_list": [_line(outcome) for outcome in outcomes],
        "failure_list": [_failure(outcome) for outcome in outcomes],
        **checkpoint_parameters(settlements),
    }


def checkpoint_parameters(saved: Sequence[Settlement | Progress]) -> dict[str, list[str | None]]:
    texts = [None if one.checkpoint is None else one.checkpoint.text for one in saved]
    # What lies beyond an array's end is NULL, and mostly nothing is saved.
    return {"checkpoint_list": [] if texts.count(None) == len(texts) else texts}


def accepted(settlements: Sequence[Settlement], count: int, ids: str | None) -> Iterable[TaskId]:
    """The tasks of which a settling statement said so."""
    if count == len(settlements):
        return (one.task.id for one in settlements)
    return () if ids is None else map(UUID, ids.strip("{}").split(","))


def _line(outcome: Outcome) -> str | None:
    match outcome:
        case Failed(failure, _) | RetryIn(failure, _):
            return str(failure)
        case GivenUp(reason):
            return reason
        case _:
            return None


def _failure(outcome: Outcome) -> str | None:
    return _encoded(outcome.failure) if isinstance(outcome, Failed | RetryIn) else None


def _encoded(failure: Failure) -> str:
    return json.dumps({"type": failure.type, "message": failure.message, "traceback": failure.traceback})
