"""MemoryUnitOfWork: the one place that merges a draft into the store, at once or when a caller's Session commits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from app.domain.clock import Clock
from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, TaskIds
from app.domain.tasks.events import TaskEvent
from app.infra.joined import hold, waiting
from app.infra.memory.clearing import MemoryClearing
from app.infra.memory.dead_letters import MemoryDeadLetters
from app.infra.memory.health import MemoryHealth
from app.infra.memory.results import MemoryResults
from app.infra.memory.retention import MemoryRetention
from app.infra.memory.schedules import MemorySchedules
from app.infra.memory.statistics import MemoryStatistics
from app.infra.memory.store import Draft, MemoryStore
from app.infra.memory.tasks import MemoryTasks
from app.infra.memory.uniques import MemoryUniques
from app.infra.memory.upkeep import MemoryUpkeep
from app.infra.memory.workers import MemoryWorkers
from app.usecases.transaction import Publisher, Transaction

P = ParamSpec("P")
R = TypeVar("R")


class MemoryTransaction:
    """Implements usecases.transaction.Transaction on a draft of the store."""

    def __init__(
        self,
        draft: Draft,
        publisher: Publisher,
        clock: Clock,
        *,
        new_ids: Callable[[int], list[TaskId]],
        is_waited_for: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._publisher = publisher
        self._now: datetime | None = None
        self.draft = draft
        self.events: list[TaskEvent] = []
        self.woken: set[str] = set()
        self.interrupted: set[TaskId] = set()
        self.ended: set[TaskId] = set()
        self.rescheduled = False
        self.new_ids = new_ids
        self.is_waited_for = is_waited_for
        self.tasks = MemoryTasks(draft, self.now)
        self.workers = MemoryWorkers(draft, self.now)
        self.uniques = MemoryUniques(draft, self.now)
        self.upkeep = MemoryUpkeep()
        self.statistics = MemoryStatistics(draft)
        self.health = MemoryHealth(draft, self.now)

    @property
    def results(self) -> MemoryResults:
        return MemoryResults(self.draft)

    @property
    def clearing(self) -> MemoryClearing:
        return MemoryClearing(self.draft)

    @property
    def retention(self) -> MemoryRetention:
        return MemoryRetention(self.draft)

    @property
    def schedules(self) -> MemorySchedules:
        return MemorySchedules(self.draft, self.now)

    @property
    def dead_letters(self) -> MemoryDeadLetters:
        return MemoryDeadLetters(self.draft, self.now)

    def now(self) -> datetime:
        if self._now is None:
            self._now = self._clock.now()
        return self._now

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        return self._publisher.wants(*kinds)

    def record(self, event: TaskEvent) -> None:
        self.events.append(event)

    def wake(self, queues: Iterable[str]) -> None:
        self.woken.update(queues)

    def interrupt(self, running: Iterable[TaskId]) -> None:
        self.interrupted.update(running)

    def announce(self, ended: Iterable[TaskId]) -> None:
        self.ended.update(ended)

    def reschedule(self) -> None:
        self.rescheduled = True


class MemoryUnitOfWork:
    """Implements usecases.transaction.UnitOfWork over a store that it shares with others of the same process.

    One transaction runs at a time: each holds the store's lock from its beginning to its end. The exception is work
    joined to a Session, which lies beside the store until that Session commits. There is no row lock in between, so a
    task that somebody else changed meanwhile keeps their change, and the joined one is dropped with its events.
    """

    def __init__(
        self,
        store: MemoryStore,
        publisher: Publisher,
        clock: Clock,
        *,
        new_ids: Callable[[int], list[TaskId]] | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._new_ids = new_ids or TaskIds()

    def run(self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._store.lock:
            tx = self._transaction()
            result = use_case(tx, *args, **kwargs)
            self._store.merge(tx.draft)
        # Told before anybody is woken: who hears of it at once must not end it before it has begun.
        self._publish(tx.events)
        self._wake(tx)
        return result

    async def arun(self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self.run(use_case, *args, **kwargs)

    def join(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """As Bound.execute_in says, except that a bare Connection has no moment to wait for: its commit event comes
        before the commit. What is joined to one is in the store at once, and stays there when it rolls back."""
        if isinstance(session, scoped_session):
            session = session()
        if not isinstance(session, Session | Connection):
            rule = "must be a SQLAlchemy Session or Connection (for the async kinds: aexecute_in)"
            raise InvalidInput("session", session, rule)
        if isinstance(session, Connection):
            return self._join_connection(lambda tx: use_case(tx, *args, **kwargs))
        if not session.in_transaction():
            session.begin()
        earlier = [one.tx.draft for one in waiting(session) if isinstance(one, _Commit) and one.unit_of_work is self]
        with self._store.lock:
            tx = self._transaction(earlier)
            result = use_case(tx, *args, **kwargs)
        hold(session, _Commit(self, tx))
        return result

    async def ajoin(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        if isinstance(session, async_scoped_session):
            session = session()
        if not isinstance(session, AsyncSession | AsyncConnection):
            rule = "must be a SQLAlchemy AsyncSession or AsyncConnection (for the sync kinds: execute_in)"
            raise InvalidInput("session", session, rule)
        return await session.run_sync(lambda joined: self.join(joined, use_case, *args, **kwargs))

    def commit(self, tx: MemoryTransaction) -> None:
        """End a joined transaction, whose Session has committed."""
        with self._store.lock:
            late = self._store.merge(tx.draft)
        self._publish([event for event in tx.events if event.task.id not in late])
        self._wake(tx)

    def _join_connection(self, work: Callable[[Transaction], R]) -> R:
        with self._store.lock:
            tx = self._transaction()
            result = work(tx)
            self._store.merge(tx.draft)
        self._wake(tx)
        return result

    def _transaction(self, earlier: Iterable[Draft] = ()) -> MemoryTransaction:
        draft = Draft(self._store, earlier)
        return MemoryTransaction(
            draft,
            self._publisher,
            self._clock,
            new_ids=self._new_ids,
            is_waited_for=lambda: bool(self._store.waiting),
        )

    def _publish(self, events: list[TaskEvent]) -> None:
        if events:
            self._publisher.publish(events)

    def _wake(self, tx: MemoryTransaction) -> None:
        for queue in sorted(tx.woken):
            for listener in tuple(self._store.listeners):
                listener(queue)
        if tx.ended:
            for waiting in tuple(self._store.waiting):
                waiting(frozenset(tx.ended))
        if tx.interrupted:
            for cancelling in tuple(self._store.cancelling):
                cancelling(sorted(tx.interrupted))
        if tx.rescheduled:
            for rescheduling in tuple(self._store.rescheduling):
                rescheduling()


@dataclass(frozen=True, slots=True)
class _Commit:
    """What a Session holds for us."""

    unit_of_work: MemoryUnitOfWork
    tx: MemoryTransaction

    def __call__(self) -> None:
        self.unit_of_work.commit(self.tx)
