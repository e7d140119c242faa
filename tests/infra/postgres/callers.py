"""What an application has in hand when it enqueues: each kind of session and connection, with each driver."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from app import JobCatalog, TaskQueueContainer
from app.domain.tasks.events import EVENTS, TaskEvent
from app.infra.postgres.herald import flush_all

SYNC_DRIVERS = ("psycopg", "psycopg2")
ASYNC_DRIVERS = ("psycopg", "asyncpg")
SYNC_KINDS = ("Session", "Connection", "scoped_session")
ASYNC_KINDS = ("AsyncSession", "AsyncConnection", "async_scoped_session")
TYPE = "order:ship"


def with_driver(url: str | Engine, driver: str) -> URL:
    return make_url(url.url if isinstance(url, Engine) else url).set(drivername=f"postgresql+{driver}")


@contextmanager
def engine_of(url: str | Engine, driver: str = "psycopg", **options: Any) -> Iterator[Engine]:
    engine = create_engine(with_driver(url, driver), **options)
    yield engine
    flush_all()  # a thread that tells workers may be at it
    engine.dispose()


@asynccontextmanager
async def async_engine_of(url: str, driver: str = "psycopg", **options: Any) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(with_driver(url, driver), **options)
    yield engine
    await engine.dispose()


@contextmanager
def opened(kind: str, engine: Engine) -> Iterator[Any]:
    """A Session, a Connection or a scoped_session, without a transaction yet."""
    match kind:
        case "Session":
            with Session(engine) as session:
                yield session
        case "Connection":
            with engine.connect() as connection:
                yield connection
        case _:
            registry = scoped_session(sessionmaker(engine))
            yield registry
            registry.remove()


@asynccontextmanager
async def async_opened(kind: str, engine: AsyncEngine) -> AsyncIterator[Any]:
    """The same for the asynchronous kinds."""
    match kind:
        case "AsyncSession":
            async with AsyncSession(engine) as session:
                yield session
        case "AsyncConnection":
            async with engine.connect() as connection:
                yield connection
        case _:
            registry = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: "this test")
            yield registry
            await registry.remove()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, but not for ever."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come about within {seconds} s"
        time.sleep(0.02)


class Told:
    """Everything that a queue's signals told, in order."""

    def __init__(self, tasks: TaskQueueContainer) -> None:
        self.events: list[TaskEvent] = []
        for kind in EVENTS:
            getattr(tasks.signals(), kind.signal).connect(self._note)

    @property
    def names(self) -> list[str]:
        return [event.signal for event in self.events]

    def _note(self, sender: str, event: TaskEvent) -> None:
        self.events.append(event)


class Shop:
    """A queue in an application's database, what it was told, and what everybody else sees there."""

    def __init__(self, **container: Any) -> None:
        self.tasks = TaskQueueContainer(**{"jobs": JobCatalog()} | container)
        self.told = Told(self.tasks)

    def seen(self) -> tuple[int, list[str]]:
        """How many tasks others see, and which events were told."""
        return self.tasks.get_task_stats().execute().total, self.told.names


def tells(kind: str, *names: str) -> list[str]:
    """What is told of *names* once a *kind* commits: nothing of what came in over a bare connection."""
    return [] if kind.endswith("Connection") else list(names)
