"""The database fixtures."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from psycopg import sql
from pytest_postgresql import factories
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.infra.postgres.herald import flush_all
from tests.server import OwnServer, Server, folder_for_servers

# In the background of a shell Ctrl-C is ignored, and would be by every process that we start, some of which are to end
# by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where servers may be started: none in here outlives the session."""
    with folder_for_servers() as folder:
        yield folder


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """The session's PostgreSQL: ``TEST_DATABASE_URL``, or one from the wheel. Not to be stopped."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return Server(url)
    own = OwnServer(request.getfixturevalue("server_folder") / "session")
    own.start()
    return Server(own.url)


@pytest.fixture
def own_server(server_folder: Path) -> Iterator[Callable[..., OwnServer]]:
    """Makes running servers for this test alone, to stop, restart and kill: ``own_server(max_connections="10")``.

    They come from the wheel even when ``TEST_DATABASE_URL`` is set: that one is not ours to break. They are
    empty, and stopped after the test.
    """
    with ExitStack() as servers:

        def make(**settings: str) -> OwnServer:
            server = OwnServer(server_folder / uuid4().hex[:8], settings)
            server.start()
            servers.callback(server.stop)
            return server

        yield make


def migrate(*, host: str, port: int, user: str, dbname: str, password: str | None, autocommit: bool) -> None:
    """Fill the session's template database; pytest-postgresql calls it."""
    from app.infra.postgres.migrations import Migrations

    address = {"host": host, "port": str(port)}
    url = URL.create("postgresql", username=user, password=password, database=dbname, query=address)
    engine = create_engine(url, poolclass=NullPool)
    Migrations(engine, schema="worker").upgrade()
    engine.dispose()


# Named anew in each process, so that sessions can share the server of TEST_DATABASE_URL.
template = factories.postgresql_noproc(depends_on="server", dbname=f"test_{uuid4().hex}", load=[migrate])


@pytest.fixture
def database_url(server: Server, template: NoopExecutor) -> Iterator[str]:
    """URL of a migrated database that this test has for itself."""
    with _database(server, template.template_dbname) as url:
        yield url


@pytest.fixture
def empty_database_url(server: Server) -> Iterator[str]:
    """URL of a database with nothing in it that this test has for itself."""
    with _database(server, server.template_dbname) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A synchronous engine on ``database_url``."""
    engine = create_engine(database_url)
    yield engine
    flush_all()
    engine.dispose()


@pytest_asyncio.fixture
async def async_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An asynchronous engine on ``database_url``."""
    engine = create_async_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def _common_engine(server: Server, template: NoopExecutor) -> Iterator[Engine]:
    with _database(server, template.template_dbname) as url:
        # Without a pool, so that nothing of a session (settings, locks) gets to the next test.
        engine = create_engine(url, poolclass=NullPool)
        yield engine
        engine.dispose()


@pytest.fixture
def connection(_common_engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back, on a migrated database; the fast one. Do not commit."""
    with _common_engine.connect() as connection:
        connection.begin()
        yield connection


class _Janitor(DatabaseJanitor):
    def drop(self) -> None:
        """Drop the database even while a worker of the test keeps connecting to it."""
        with self.cursor() as cursor:
            name = sql.Identifier(self.dbname)
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


@contextmanager
def _database(server: Server, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with _Janitor(
        user=server.user,
        host=server.host,
        port=server.port,
        password=server.password,
        maintenance_dbname=server.maintenance_dbname,
        dbname=name,
        template_dbname=template,
    ):
        yield server.url_of(name)
