"""PostgresStatistics: what people ask about tasks."""

from collections.abc import Sequence

from sqlalchemy import Text, Uuid, bindparam, func, select

from app.domain.identifiers import TaskId
from app.domain.tasks.statistics import TaskFilter, TaskStats, WaitingType
from app.domain.tasks.status import Transition
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.moments import NOW, seconds_until
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import tasks
from app.infra.postgres.tasks.rows import COLUMNS, to_task

COUNTS = select(tasks.c.status, func.count()).group_by(tasks.c.status)
FIND = select(*COLUMNS).where(tasks.c.id == bindparam("id", type_=Uuid))
WAITING_TYPES = (
    select(tasks.c.type, func.count(), -seconds_until(func.min(tasks.c.scheduled_at)))
    .where(tasks.c.status == str(Transition.CLAIM.sources[0]), tasks.c.scheduled_at <= NOW)
    .group_by(tasks.c.type)
    .order_by(tasks.c.type)
)


class PostgresStatistics:
    """Implements TaskStatistics."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def counts(self) -> TaskStats:
        return TaskStats(**dict(self._statements.run(COUNTS)))

    def find(self, task_id: TaskId) -> WorkerTask | None:
        rows = self._statements.run(FIND, {"id": task_id})
        return to_task(rows[0]) if rows else None

    def newest(self, wanted: TaskFilter) -> Sequence[WorkerTask]:
        # Ids are UUIDs of version 7, so their order is the order of creation, and the primary key serves it.
        statement = select(*COLUMNS).order_by(tasks.c.id.desc()).limit(wanted.limit)
        if wanted.status is not None:
            statement = statement.where(tasks.c.status == str(wanted.status))
        if wanted.type is not None:
            statement = statement.where(tasks.c.type.like(_like(wanted.type), escape="\\"))
        if wanted.queue is not None:
            statement = statement.where(tasks.c.queue == bindparam("queue", wanted.queue, type_=Text))
        return [to_task(row) for row in self._statements.run(statement)]

    def waiting_types(self) -> Sequence[WaitingType]:
        return [WaitingType(*row) for row in self._statements.run(WAITING_TYPES, timed=True)]


def _like(pattern: str) -> str:
    """A LIKE pattern in which ``*`` alone is special."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")
