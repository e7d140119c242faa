"""The transaction as the use cases see it, and who opens, joins and commits one."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar

from app.domain.clearing import Clearing
from app.domain.dead_letters.repository import DeadLetters
from app.domain.health import QueueHealth
from app.domain.identifiers import TaskId
from app.domain.results import TaskResults
from app.domain.retention import Retention
from app.domain.schedules.repository import Schedules
from app.domain.tasks.events import TaskEvent
from app.domain.tasks.repository import TaskRepository
from app.domain.tasks.statistics import TaskStatistics
from app.domain.uniques import Uniques
from app.domain.upkeep import Upkeep
from app.domain.workers import WorkerRegistry

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Transaction(Protocol):
    """Everything a use case may reach. What it does here is there wholly or not at all; it never commits."""

    @property
    def tasks(self) -> TaskRepository: ...

    @property
    def workers(self) -> WorkerRegistry: ...

    @property
    def statistics(self) -> TaskStatistics: ...

    @property
    def uniques(self) -> Uniques: ...

    @property
    def upkeep(self) -> Upkeep: ...

    @property
    def health(self) -> QueueHealth: ...

    @property
    def results(self) -> TaskResults: ...

    @property
    def clearing(self) -> Clearing: ...

    @property
    def retention(self) -> Retention: ...

    @property
    def schedules(self) -> Schedules: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    def now(self) -> datetime:
        """The moment of this transaction, by the database's clock; asked for once."""
        ...

    def new_ids(self, count: int) -> list[TaskId]:
        """Ids for what a use case adds of itself, that nobody asked it for by a call."""
        ...

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        """Whether anybody listens to any of these; an event nobody wants need not be built."""
        ...

    def record(self, event: TaskEvent) -> None:
        """Publish *event* after the commit, and never when there is none."""
        ...

    def wake(self, queues: Iterable[str]) -> None:
        """Hint to the workers of these queues, on commit, that there is something to look at."""
        ...

    def interrupt(self, running: Iterable[TaskId]) -> None:
        """Hint to the workers that run these tasks, on commit, that they were cancelled."""
        ...

    def is_waited_for(self) -> bool:
        """Whether anybody may be waiting for results; if not, ends need not be announced."""
        ...

    def announce(self, ended: Iterable[TaskId]) -> None:
        """Hint to those who wait for these tasks, on commit, that they have ended."""
        ...

    def reschedule(self) -> None:
        """Hint to workers, on commit, that schedules have changed."""
        ...


class Publisher(Protocol):
    """Tells this process what happened; called by a unit of work once its commit is through."""

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        """Whether anybody listens to any of these."""
        ...

    def publish(self, events: Sequence[TaskEvent]) -> None:
        """Hand *events* to their receivers, in order; what a receiver raises is logged and goes no further."""
        ...


class Gatherable(Protocol[R_co]):
    """A use case whose calls may be run together: each is prepared on its own, and refused on its own."""

    needs_transaction: ClassVar[bool]
    told_of: ClassVar[Sequence[type[TaskEvent]]]
    """The events of a call; while anybody listens to them, each call goes alone and they are told in its context."""

    def prepared(self, *args: Any, **kwargs: Any) -> Any:
        """What a call asks for, checked."""
        ...

    def goes_alone(self, prepared: Any) -> bool:
        """Whether a call must be in a transaction of its own, where it may have to wait for somebody else's."""
        ...

    def together(self, tx: Transaction, prepared: Sequence[Any]) -> Sequence[R_co]:
        """Do what several calls ask for; the answers in their order."""
        ...


class UnitOfWork(Protocol):
    """The only one who commits.

    A use case that is one statement, or several of which each may stand alone, says ``needs_transaction = False``: what
    it does is then committed by the statement itself, without a BEGIN and a COMMIT to wait for. Where that depends on
    the call, it has a ``needs_transaction_for`` with the parameters of a call as well. One that says
    ``outlives_its_caller = True`` goes on when whoever awaits it is cancelled, so that what it stored is told as well.
    """

    def run(self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *use_case* in a transaction of its own."""
        ...

    def arun(
        self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[R]:
        """The same, awaited."""
        ...

    def join(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Call *use_case* in the transaction of the caller's Session or Connection, which the caller ends."""
        ...

    def ajoin(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[R]:
        """The same for an AsyncSession or AsyncConnection."""
        ...
