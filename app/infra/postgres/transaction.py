"""PostgresTransaction: the repositories on one connection, with what is to be told once it has committed."""

from collections.abc import Callable, Iterable
from datetime import datetime

from app.domain.identifiers import TaskId
from app.domain.tasks.events import TaskEvent
from app.infra.postgres.clearing import PostgresClearing
from app.infra.postgres.dead_letters import PostgresDeadLetters
from app.infra.postgres.health import PostgresHealth
from app.infra.postgres.hints import Hints
from app.infra.postgres.results import PostgresResults
from app.infra.postgres.retention import PostgresRetention
from app.infra.postgres.schedules import PostgresSchedules
from app.infra.postgres.statements import Statements
from app.infra.postgres.statistics import PostgresStatistics
from app.infra.postgres.tasks import PostgresTasks
from app.infra.postgres.uniques import PostgresUniques
from app.infra.postgres.upkeep import PostgresUpkeep
from app.infra.postgres.workers import PostgresWorkers
from app.usecases.transaction import Publisher


class PostgresTransaction:
    """Implements usecases.transaction.Transaction."""

    def __init__(
        self,
        statements: Statements,
        schema: str,
        publisher: Publisher,
        *,
        new_ids: Callable[[int], list[TaskId]],
        is_waited_for: Callable[[], bool],
    ) -> None:
        self._statements = statements
        self._publisher = publisher
        self._now: datetime | None = None
        self.new_ids = new_ids
        self.is_waited_for = is_waited_for
        self.hints = Hints()
        self.events: list[TaskEvent] = []
        self.tasks = PostgresTasks(self._statements)
        self.workers = PostgresWorkers(self._statements)
        self.statistics = PostgresStatistics(self._statements)
        self.upkeep = PostgresUpkeep(self._statements, self.now)
        self.health = PostgresHealth(self._statements, schema)

    @property
    def uniques(self) -> PostgresUniques:
        return PostgresUniques(self._statements)

    @property
    def results(self) -> PostgresResults:
        return PostgresResults(self._statements)

    @property
    def clearing(self) -> PostgresClearing:
        return PostgresClearing(self._statements)

    @property
    def retention(self) -> PostgresRetention:
        return PostgresRetention(self._statements)

    @property
    def schedules(self) -> PostgresSchedules:
        return PostgresSchedules(self._statements)

    @property
    def dead_letters(self) -> PostgresDeadLetters:
        return PostgresDeadLetters(self._statements)

    def now(self) -> datetime:
        if self._now is None:
            self._now = self._statements.now()
        return self._now

    def is_read_committed(self) -> bool:
        """Whether the transactions of this session are, where nobody says otherwise."""
        return self._statements.setting("default_transaction_isolation") == "read committed"

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        return self._publisher.wants(*kinds)

    def record(self, event: TaskEvent) -> None:
        self.events.append(event)

    def wake(self, queues: Iterable[str]) -> None:
        self.hints.wake(queues)

    def announce(self, ended: Iterable[TaskId]) -> None:
        self.hints.announce(ended)

    def interrupt(self, running: Iterable[TaskId]) -> None:
        self.hints.interrupt(running)

    def reschedule(self) -> None:
        self.hints.reschedule()
