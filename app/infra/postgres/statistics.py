"""PostgresStatistics: what people ask about tasks."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, SmallInteger, Table, Uuid, bindparam, cast, func, null, select, union_all

from app.domain.identifiers import TaskId
from app.domain.tasks.durations import quantile
from app.domain.tasks.statistics import Grouping, GroupStats, TaskFilter, TaskStats
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.patterns import like
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import finished, tallies, tasks
from app.infra.postgres.tasks.rows import columns_of, to_task

_number = cast(func.sum(tallies.c.number), BigInteger)
COUNTS = union_all(
    select(tasks.c.status, func.count()).group_by(tasks.c.status),
    select(tallies.c.status, _number).group_by(tallies.c.status),
)


def _breakdown(by: str) -> Any:
    here = select(tasks.c[by], tasks.c.status, cast(null(), SmallInteger), func.count())
    over = select(tallies.c[by], tallies.c.status, tallies.c.bucket, _number).having(func.sum(tallies.c.number) != 0)
    return union_all(
        here.group_by(tasks.c[by], tasks.c.status), over.group_by(tallies.c[by], tallies.c.status, tallies.c.bucket)
    )


BREAKDOWN = {by: _breakdown(by) for by in Grouping}
FIND = union_all(
    *(select(*columns_of(table)).where(table.c.id == bindparam("id", type_=Uuid)) for table in (tasks, finished))
)


class PostgresStatistics:
    """Implements TaskStatistics."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def counts(self) -> TaskStats:
        return TaskStats(**dict(self._statements.run(COUNTS)))

    def breakdown(self, by: Grouping) -> Sequence[GroupStats]:
        counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        buckets: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for name, status, bucket, number in self._statements.run(BREAKDOWN[by]):
            counts[name][status] += number
            if bucket is not None:
                buckets[name][bucket] = number
        return [
            GroupStats(
                name=name,
                stats=TaskStats(**counts[name]),
                p50=quantile(buckets[name], 0.5),
                p95=quantile(buckets[name], 0.95),
            )
            for name in sorted(counts)
        ]

    def find(self, task_id: TaskId) -> WorkerTask | None:
        rows = self._statements.run(FIND, {"id": task_id})
        return to_task(rows[0]) if rows else None

    def newest(self, wanted: TaskFilter) -> Sequence[WorkerTask]:
        # Ids are UUIDs of version 7, so their order is the order of creation, and an index on them serves it.
        newest = union_all(*(_newest_in(table, wanted) for table in (tasks, finished))).subquery()
        rows = self._statements.run(select(newest).order_by(newest.c.id.desc()).limit(wanted.limit))
        return [to_task(row) for row in rows]


def _newest_in(table: Table, wanted: TaskFilter) -> Any:
    statement = select(*columns_of(table)).order_by(table.c.id.desc()).limit(wanted.limit)
    if wanted.status is not None:
        statement = statement.where(table.c.status == str(wanted.status))
    if wanted.type is not None:
        statement = statement.where(table.c.type.like(like(wanted.type), escape="\\"))
    if wanted.queue is not None:
        statement = statement.where(table.c.queue == wanted.queue)
    return select(statement.subquery())
