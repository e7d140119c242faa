"""PostgresHealth: what the queue's database tells about itself."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import DateTime, bindparam, exists, func, select

from app.domain.health import DeadRows, HolderKind, Overdue, Snapshot, Snapshots, UpkeepStep, WaitingQueue, WaitingType
from app.infra.postgres.health.dead import DEAD_ROWS
from app.infra.postgres.health.snapshots import MAY_SEE, beginning_of, oldest_of
from app.infra.postgres.health.upkeep import UPKEEP
from app.infra.postgres.health.waiting import HEAD, SAMPLE, WAITING_QUEUES, WAITING_TYPES
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import tasks
from app.infra.postgres.tasks.operate import HAS_EXPIRED
from app.infra.postgres.workers import IS_SILENT

_MOMENT = select(func.coalesce(bindparam("now", type_=DateTime(timezone=True)), func.clock_timestamp()))
_OVERDUE = select(exists().where(IS_SILENT), exists().where(HAS_EXPIRED))


class PostgresHealth:
    """Implements QueueHealth."""

    def __init__(self, statements: Statements, schema: str) -> None:
        self._statements = statements
        self._schema = schema

    def moment(self) -> datetime:
        moment: datetime = self._statements.run(_MOMENT, timed=True)[0][0]
        return moment

    def overdue(self) -> Overdue:
        return Overdue(*self._statements.run(_OVERDUE, timed=True)[0])

    def snapshots(self) -> Snapshots:
        sources: dict[str, bool] = dict(self._statements.run(MAY_SEE))
        unseen = tuple(what for what, may_see in sources.items() if not may_see)
        statement = oldest_of([what for what, may_see in sources.items() if may_see])
        rows = [] if statement is None else self._statements.run(statement, timed=True)
        for kind, name, transactions, seconds, pid, user, state, query, query_seconds in rows:
            oldest = Snapshot(
                kind=HolderKind(kind),
                name=name,
                transactions=transactions,
                seconds=seconds,
                pid=pid,
                user=user,
                state=state,
                query=beginning_of(query),
                query_seconds=query_seconds,
            )
            return Snapshots(oldest, unseen)
        return Snapshots(None, unseen)

    def dead_rows(self) -> DeadRows | None:
        for dead, live, threshold, seconds in self._statements.run(
            DEAD_ROWS, {"schema": self._schema, "name": tasks.name}, timed=True
        ):
            return DeadRows(dead=dead, live=live, threshold=round(threshold), vacuum_seconds=seconds)
        return None

    def upkeep(self) -> Sequence[UpkeepStep] | None:
        return [UpkeepStep(*row) for row in self._statements.run(UPKEEP, timed=True)]

    def waiting_queues(self) -> Sequence[WaitingQueue]:
        return [WaitingQueue(*row) for row in self._statements.run(WAITING_QUEUES, timed=True)]

    def waiting_types(self) -> Sequence[WaitingType]:
        rows = self._statements.run(WAITING_TYPES, timed=True)
        looked_at: Counter[object] = Counter()
        counts: Counter[tuple[str, int]] = Counter()
        oldest: dict[tuple[str, int], float] = {}
        for queue, urgency, type_, version, count, seconds in rows:
            looked_at[queue, urgency] += count
            counts[type_, version] += count
            oldest[type_, version] = max(seconds, oldest.get((type_, version), seconds))
        cut = looked_at.total() >= SAMPLE or any(count >= HEAD for count in looked_at.values())
        return [WaitingType(each[0], counts[each], oldest[each], cut, each[1]) for each in sorted(counts)]
