"""PostgresTransaction: the repositories on one connection, with what is to be told once it has committed."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ARRAY, Connection, DateTime, Text, bindparam, cast, func, select
from sqlalchemy.sql import column

from app.domain.tasks.events import TaskEvent
from app.infra.postgres.health import PostgresHealth
from app.infra.postgres.moments import NOW
from app.infra.postgres.statements import Statements
from app.infra.postgres.statistics import PostgresStatistics
from app.infra.postgres.tasks import PostgresTasks
from app.infra.postgres.workers import PostgresWorkers
from app.usecases.transaction import Publisher

_MOMENT = select(cast(NOW, DateTime(timezone=True)))
_queues = func.unnest(bindparam("queues", type_=ARRAY(Text))).table_valued(column("queue", Text)).render_derived()
_NOTIFY = select(func.pg_notify(bindparam("channel", type_=Text), _queues.c.queue))


def channel_of(schema: str) -> str:
    """The notification channel of the queue in *schema*."""
    return f"{schema}_tasks"


class PostgresTransaction:
    """Implements usecases.transaction.Transaction."""

    def __init__(self, connection: Connection, schema: str, publisher: Publisher, now: datetime | None = None) -> None:
        self._statements = Statements(connection, schema, now)
        self._channel = channel_of(schema)
        self._publisher = publisher
        self._now: datetime | None = None
        self._woken: set[str] = set()
        self.events: list[TaskEvent] = []
        self.tasks = PostgresTasks(self._statements)
        self.workers = PostgresWorkers(self._statements)
        self.statistics = PostgresStatistics(self._statements)
        self.health = PostgresHealth(self._statements, schema)

    def now(self) -> datetime:
        if self._now is None:
            self._now = self._statements.run(_MOMENT, timed=True)[0][0]
        return self._now

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        return self._publisher.wants(*kinds)

    def record(self, event: TaskEvent) -> None:
        self.events.append(event)

    def wake(self, queues: Iterable[str]) -> None:
        self._woken.update(queues)

    def finish(self) -> None:
        """Send what is to leave with the commit; called once, after the use case."""
        if self._woken:
            self._statements.run(_NOTIFY, {"channel": self._channel, "queues": sorted(self._woken)})
