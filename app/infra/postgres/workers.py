"""PostgresWorkers: the registry of workers, one row and one lease each."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, Double, Integer, Text, bindparam, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.domain.workers import LiveWorker, Pulse, WorkerNode
from app.infra.postgres.moments import NOW, after
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import tasks, workers

IS_SILENT = workers.c.last_seen_at < after(-workers.c.lease)
_BY_ID = workers.c.id == bindparam("worker_id", type_=Text)

REGISTER = (
    insert(workers)
    .values(
        id=bindparam("worker_id", type_=Text),
        name=bindparam("name", type_=Text),
        lease=bindparam("lease", type_=Double),
        concurrency=bindparam("concurrency", type_=Integer),
        types=bindparam("types", type_=ARRAY(Text)),
        versions=bindparam("versions", type_=ARRAY(Integer)),
        queues=bindparam("queues", type_=ARRAY(Text)),
        started_at=NOW,
        last_seen_at=NOW,
    )
    # Whoever is there already is the same life, whose first registration was stored and its answer lost.
    .on_conflict_do_update(index_elements=[workers.c.id], set_={"last_seen_at": NOW})
)


def _beat() -> Any:
    beaten = (
        update(workers)
        .where(_BY_ID)
        .values(last_seen_at=NOW, hears_notifications=bindparam("hears", type_=Boolean))
        .returning(workers.c.id)
        .cte("beaten")
    )
    # Few are, and they have an index of their own.
    cancelled = select(cast(func.array_agg(tasks.c.id), Text)).where(
        tasks.c.cancel_requested_at.is_not(None), tasks.c.worker_id == bindparam("worker_id", type_=Text)
    )
    return select(select(func.count()).select_from(beaten).scalar_subquery(), cancelled.scalar_subquery())


BEAT = _beat()
REMOVE = delete(workers).where(_BY_ID)
BURY_SILENT = delete(workers).where(IS_SILENT).returning(workers.c.id)
ALL = select(
    workers.c.id,
    workers.c.name,
    workers.c.lease,
    workers.c.concurrency,
    workers.c.types,
    workers.c.versions,
    workers.c.queues,
    workers.c.started_at,
    workers.c.last_seen_at,
    IS_SILENT,
    workers.c.hears_notifications,
).order_by(workers.c.started_at, workers.c.id)


class PostgresWorkers:
    """Implements WorkerRegistry."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def register(self, node: WorkerNode) -> None:
        parameters = {
            "worker_id": node.id,
            "name": node.name,
            "lease": node.lease,
            "concurrency": node.concurrency,
            "types": list(node.types),
            "versions": list(node.versions),
            "queues": list(node.queues),
        }
        self._statements.change(REGISTER, parameters, timed=True)

    def beat(self, worker_id: str, *, hears_notifications: bool | None) -> Pulse:
        parameters = {"worker_id": worker_id, "hears": hears_notifications}
        ((count, cancelled),) = self._statements.run(BEAT, parameters, timed=True)
        return Pulse(count == 1, () if cancelled is None else tuple(map(UUID, cancelled.strip("{}").split(","))))

    def remove(self, worker_id: str) -> None:
        self._statements.change(REMOVE, {"worker_id": worker_id})

    def bury_silent(self) -> list[str]:
        return [row[0] for row in self._statements.run(BURY_SILENT, timed=True)]

    def all(self) -> Sequence[LiveWorker]:
        return [
            LiveWorker(
                node=WorkerNode(
                    id=id_,
                    name=name,
                    lease=lease,
                    concurrency=concurrency,
                    types=tuple(types),
                    versions=tuple(versions),
                    queues=tuple(queues),
                ),
                started_at=started_at,
                last_seen_at=last_seen_at,
                is_late=is_late,
                hears_notifications=hears,
            )
            for id_, name, lease, concurrency, types, versions, queues, started_at, last_seen_at, is_late, hears in (
                self._statements.run(ALL, timed=True)
            )
        ]
