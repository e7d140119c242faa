"""PostgresTasks: tasks kept in PostgreSQL; each verb is one statement, found in the file of that verb."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from app.domain.identifiers import TaskId
from app.domain.tasks.outcomes import Settlement
from app.domain.tasks.repository import Addition, ClaimRequest, Progress, Settled
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.statements import Statements
from app.infra.postgres.tasks.add import ADD, add_parameters, added_task
from app.infra.postgres.tasks.claim import CLAIM, HELD_BY, NEXT_DUE, filter_parameters
from app.infra.postgres.tasks.operate import LOCK, LOCK_ORPHANS, REMOVE_FINISHED, SAVE, save_parameters
from app.infra.postgres.tasks.rows import to_task
from app.infra.postgres.tasks.settle import REPORT, SETTLE, SETTLED_BEFORE, lease_parameters, settle_parameters


class PostgresTasks:
    """Implements TaskRepository."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def add(self, additions: Sequence[Addition]) -> list[WorkerTask]:
        rows = self._statements.run(ADD, add_parameters(additions), timed=True)
        moments = {id_: (scheduled_at, created_at) for id_, scheduled_at, created_at in rows}
        return [added_task(addition, *moments[addition.id]) for addition in additions]

    def claim(self, request: ClaimRequest) -> list[WorkerTask]:
        parameters = filter_parameters(request) | {"worker_id": request.worker_id, "limit": request.limit}
        claimed = [to_task(row) for row in self._statements.run(CLAIM[bool(request.queues)], parameters, timed=True)]
        # UPDATE … RETURNING promises no order.
        claimed.sort(key=lambda task: (-task.priority, task.scheduled_at, task.id))
        return claimed

    def next_due_in(self, request: ClaimRequest) -> float | None:
        rows = self._statements.run(NEXT_DUE[bool(request.queues)], filter_parameters(request), timed=True)
        seconds: float | None = rows[0][0]
        # Here and not in SQL: PostgreSQL's greatest() skips NULL, and would call an empty queue due.
        return None if seconds is None else max(0.0, seconds)

    def settle(self, settlements: Sequence[Settlement], *, taking_back: bool = False) -> Settled:
        parameters = settle_parameters(settlements) | {"raised": int(taking_back)}
        return _settled(self._statements.run(SETTLE, parameters, timed=True))

    def settled_before(self, settlements: Sequence[Settlement]) -> Settled:
        return _settled(self._statements.run(SETTLED_BEFORE, lease_parameters(settlements), timed=True))

    def progress(self, reports: Sequence[Progress]) -> frozenset[TaskId]:
        parameters = lease_parameters(reports) | {
            "percents": [report.percent for report in reports],
            "messages": [report.message for report in reports],
        }
        return frozenset(row[0] for row in self._statements.run(REPORT, parameters))

    def held_by(self, worker_id: str) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(HELD_BY, {"worker_id": worker_id})]

    def lock_orphans(self, limit: int) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(LOCK_ORPHANS, {"limit": limit})]

    def lock(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        return [to_task(row) for row in self._statements.run(LOCK, {"ids": list(ids)})]

    def save(self, tasks: Sequence[WorkerTask]) -> None:
        self._statements.change(SAVE, save_parameters(tasks))

    def remove_finished(self, older_than_seconds: float) -> int:
        return self._statements.change(REMOVE_FINISHED, {"seconds": older_than_seconds}, timed=True)


def _settled(rows: Sequence[Row[*tuple[Any, ...]]]) -> Settled:
    at = rows[0][1] if rows else datetime.min.replace(tzinfo=UTC)
    return Settled(frozenset(row[0] for row in rows), at)
