"""PostgresTasks: tasks kept in PostgreSQL; each verb is one statement, found in the file of that verb."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from app.domain.identifiers import TaskId
from app.domain.tasks.outcomes import Completed, Failed, GivenUp
from app.domain.tasks.repository import Addition, Claimed, ClaimRequest, Progress, Settled, Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.statements import Statements
from app.infra.postgres.tasks.add import ADD, add_parameters, added_tasks
from app.infra.postgres.tasks.claim import (
    CLAIM_BY_ID,
    HELD_BY,
    PROMOTE,
    claim_of,
    claimed_in,
    next_due_of,
    time_front_of,
)
from app.infra.postgres.tasks.operate import (
    END,
    LOCK_EXPIRED,
    LOCK_FINISHED,
    LOCK_FREE,
    LOCK_HERE,
    LOCK_ORPHANS,
    MARK,
    REVIVE,
    save_parameters,
)
from app.infra.postgres.tasks.remove import remove_finished
from app.infra.postgres.tasks.report import REPORT, progress_parameters
from app.infra.postgres.tasks.rows import to_task
from app.infra.postgres.tasks.settle import (
    COMPLETE,
    FINISH,
    FINISH_CANCELLED,
    PUT_BACK,
    SETTLED_BEFORE,
    accepted,
    by_id,
    complete_parameters,
    finish_cancelled_parameters,
    finish_parameters,
    lease_parameters,
    put_back_parameters,
)

_NEVER = datetime.min.replace(tzinfo=UTC)


class PostgresTasks:
    """Implements TaskRepository."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def add(self, additions: Sequence[Addition]) -> list[WorkerTask]:
        [(now,)] = self._statements.run(ADD, add_parameters(additions), timed=True)
        return added_tasks(additions, now)

    def claim(self, request: ClaimRequest) -> Claimed:
        if request.promote:
            self._statements.change(PROMOTE, timed=True)
        statement, parameters = claim_of(request)
        return claimed_in(self._statements.run(statement, parameters, timed=True))

    def claim_by_id(
        self, task_id: TaskId, *, worker_id: str, types: Sequence[str], versions: Sequence[int] = ()
    ) -> WorkerTask | None:
        known = {"types": list(types), "versions": list(versions)}
        parameters = {"task_id": task_id, "worker_id": worker_id, **known}
        claimed = claimed_in(self._statements.run(CLAIM_BY_ID, parameters, timed=True)).tasks
        return claimed[0] if claimed else None

    def next_due_in(self, request: ClaimRequest) -> float | None:
        statement, parameters = next_due_of(request)
        seconds: float | None = self._statements.run(statement, parameters, timed=True)[0][0]
        return seconds

    def time_front(self, request: ClaimRequest) -> float:
        statement, parameters = time_front_of(request)
        seconds: float = self._statements.run(statement, parameters, timed=True)[0][0]
        return seconds

    def settle(
        self, settlements: Sequence[Settlement], *, taking_back: bool = False, or_cancelled: bool = True
    ) -> Settled:
        completed: list[Settlement] = []
        ended: list[Settlement] = []
        back: list[Settlement] = []
        for one in by_id(settlements):
            if isinstance(one.outcome, Completed):
                completed.append(one)
            elif isinstance(one.outcome, Failed | GivenUp):
                ended.append(one)
            else:
                back.append(one)
        at = _NEVER
        done: set[TaskId] = set()
        cancelled: frozenset[TaskId] = frozenset()
        for some, statement, parameters in (
            (completed, COMPLETE, complete_parameters),
            (ended, FINISH, finish_parameters),
            (back, PUT_BACK, put_back_parameters),
        ):
            if some:
                rows = self._statements.run(statement, parameters(some, raised=int(taking_back)), timed=True)
                at, count, ids = rows[0]
                done.update(accepted(some, count, ids))
        if len(done) < len(settlements) and or_cancelled:
            left = by_id(one for one in settlements if one.task.id not in done)
            given = finish_cancelled_parameters(left, raised=int(taking_back))
            at, count, ids = self._statements.run(FINISH_CANCELLED, given, timed=True)[0]
            cancelled = frozenset(accepted(left, count, ids))
        return Settled(frozenset(done | cancelled), at, cancelled)

    def settled_before(self, settlements: Sequence[Settlement]) -> Settled:
        return _settled(self._statements.run(SETTLED_BEFORE, lease_parameters(by_id(settlements)), timed=True))

    def progress(self, reports: Sequence[Progress]) -> frozenset[TaskId]:
        return frozenset(row[0] for row in self._statements.run(REPORT, progress_parameters(reports)))

    def held_by(self, worker_id: str) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(HELD_BY, {"worker_id": worker_id})]

    def lock_orphans(self, limit: int) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(LOCK_ORPHANS, {"limit": limit})]

    def lock_expired(self, limit: int) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(LOCK_EXPIRED, {"limit": limit}, timed=True)]

    def lock(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        # Here, then where tasks go when they end, and again, for one that was on its way back, or to another shelf:
        # whoever moves it has it locked, so that looking waits for the move.
        rows: list[Row[*tuple[Any, ...]]] = []
        missing = list(ids)
        for statement in (LOCK_HERE, LOCK_FINISHED, LOCK_HERE, LOCK_FINISHED):
            if missing:
                rows += self._statements.run(statement, {"ids": missing})
                found = {row[0] for row in rows}
                missing = [task_id for task_id in missing if task_id not in found]
        return [to_task(row) for row in rows]

    def lock_free(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(LOCK_FREE, {"ids": list(ids)})]

    def save(self, tasks: Sequence[WorkerTask]) -> None:
        if ended := [task for task in tasks if task.status.is_final]:
            self._statements.change(END, save_parameters(ended))
        if marked := [task for task in tasks if task.status is TaskStatus.RUNNING]:
            self._statements.change(MARK, save_parameters(marked))
        if revived := [task for task in tasks if task.status is TaskStatus.PENDING]:
            self._statements.change(REVIVE, save_parameters(revived), timed=True)

    def remove_finished(self, older_than_seconds: float) -> int:
        return remove_finished(self._statements, older_than_seconds)


def _settled(rows: Sequence[Row[*tuple[Any, ...]]]) -> Settled:
    cancelled = frozenset(row[0] for row in rows if row[2] == TaskStatus.CANCELLED)
    return Settled(frozenset(row[0] for row in rows), rows[0][1] if rows else _NEVER, cancelled)
