"""The queue under test, once in memory and once in PostgreSQL."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from app.infra.postgres.herald import Herald
from app.infra.postgres.tables import metadata
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from tests.contract.subject import Queue, in_memory
from tests.examples import ManualClock, Recorder
from tests.server import Server

EMPTY = f"TRUNCATE {', '.join(str(table) for table in metadata.sorted_tables)}"


@pytest.fixture(scope="session")
def database_url(server: Server, template: NoopExecutor) -> Iterator[str]:
    """URL of a migrated database that all tests of this folder share: emptying it is far quicker than a new one."""
    name = f"contract_{uuid4().hex}"
    with DatabaseJanitor(
        user=server.user,
        host=server.host,
        port=server.port,
        password=server.password,
        maintenance_dbname=server.maintenance_dbname,
        dbname=name,
        template_dbname=template.template_dbname,
    ):
        yield server.url_of(name)


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


def in_postgres(request: pytest.FixtureRequest) -> Callable[[], Queue]:
    engine = request.getfixturevalue("engine")
    herald = Herald(lambda: engine, lambda: None)
    request.addfinalizer(herald.flush)

    def new_queue() -> Queue:
        with engine.begin() as connection:
            connection.exec_driver_sql(EMPTY)
        clock, publisher = ManualClock(), Recorder()
        return Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock, herald=herald), clock, publisher)

    return new_queue
