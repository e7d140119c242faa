"""The queue under test, once in memory and once in PostgreSQL."""

from collections.abc import Callable

import pytest

from app.infra.memory.store import MemoryStore
from app.infra.memory.unit_of_work import MemoryUnitOfWork
from app.infra.postgres.tables import metadata
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from tests.contract.subject import Queue
from tests.examples import ManualClock, Recorder

EMPTY = f"TRUNCATE {', '.join(str(table) for table in metadata.sorted_tables)}"


@pytest.fixture(params=["memory", "postgres"])
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def new_queue(adapter: str, request: pytest.FixtureRequest) -> Callable[[], Queue]:
    """Makes a queue with nothing in it, at noon, and nobody at work; the ones made before are gone then."""
    return in_memory if adapter == "memory" else in_postgres(request)


@pytest.fixture
def queue(new_queue: Callable[[], Queue]) -> Queue:
    return new_queue()


def in_memory() -> Queue:
    clock, publisher = ManualClock(), Recorder()
    return Queue(MemoryUnitOfWork(MemoryStore(), publisher, clock), clock, publisher)


def in_postgres(request: pytest.FixtureRequest) -> Callable[[], Queue]:
    engine = request.getfixturevalue("engine")

    def new_queue() -> Queue:
        with engine.begin() as connection:
            connection.exec_driver_sql(EMPTY)
        clock, publisher = ManualClock(), Recorder()
        return Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock), clock, publisher)

    return new_queue
