"""System: what an adapter tells of a queue, and does with it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from benchmarks.shared.observer import Observer

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker process is to do: handle tasks of *url*, calling *mark* in each, until *stop* is set.

    *mark* takes the task's number, and the time of its start when that is not now.

    ``sync`` asks for a plain function as the handler, ``one_queue`` for the default queue alone; ``worker`` says which
    process this is.
    """

    url: str
    mark: Callable[..., None]
    stop: asyncio.Event
    sync: bool
    one_queue: bool
    worker: int


class Producer(ABC):
    """One process that enqueues; its awaitables may run beside each other, as many as were asked for."""

    @abstractmethod
    async def enqueue(self, number: int) -> None:
        """Enqueue one task; durable on return."""

    @abstractmethod
    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        """Enqueue tasks in one transaction, by the fastest public way; as a backlog of *shape* where that is said."""

    async def settled(self, numbers: range) -> bool | None:
        """Whether each of *numbers* is terminal, told quickly; None leaves it to the system's query, of all tasks."""
        return None

    async def counts(self) -> tuple[int, int] | None:
        """How many tasks of the database are not terminal, and how many have succeeded; None leaves it to queries."""
        return None

    async def statistics(self) -> None:
        """Ask for the numbers that people are shown of the queue, by its public call."""
        raise NotImplementedError


class System(ABC):
    """A queue at its best sensible settings, which ``settings`` lists with the reason for each."""

    name: ClassVar[str]
    distributions: ClassVar[Sequence[str]]
    """The packages whose versions matter, the queue's own first."""
    settings: ClassVar[dict[str, str]]
    cannot: ClassVar[dict[str, str]] = {}
    """The workloads it cannot do, and why."""
    bulk: ClassVar[int] = 10_000
    """How many tasks one call of enqueue_many takes when speed is all that counts."""
    unfinished: ClassVar[str] = ""
    """A query with a row for each task that is not terminal."""
    finished: ClassVar[str] = ""
    """A query that counts the tasks which have succeeded."""

    @abstractmethod
    async def install(self, url: str) -> None:
        """Make the schema in an empty database."""

    @abstractmethod
    def producer(self, url: str, producers: int) -> AbstractAsyncContextManager[Producer]:
        """A producer for *producers* awaitables at a time."""

    @abstractmethod
    async def work(self, work: Work) -> None:
        """Be a worker process until ``work.stop`` is set."""

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        """Run the event loop that the queue's users are advised to run."""
        return asyncio.run(main)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One measurement: the system, its database, the observer, and how large and long it is.

    ``size`` is tasks, ``rate`` tasks a second; ``limit`` the seconds after which a wait is given up.
    """

    system: System
    observer: Observer
    url: str
    size: int
    rate: float
    seconds: float
    limit: float
