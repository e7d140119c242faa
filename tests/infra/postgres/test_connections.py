"""The kind of a connection: found out, not believed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, NullPool, create_engine

from app.domain.connections import ConnectionKind
from app.infra.postgres.connections import PostgresConnections
from app.infra.postgres.engines import database_url as checked_url
from app.infra.postgres.engines import own_engine
from tests.infra.postgres.pooler import Pooler
from tests.infra.postgres.proxy import Proxy
from tests.server import OwnServer


def kind(url: str) -> ConnectionKind:
    engine = own_engine(checked_url(url))
    try:
        return PostgresConnections(engine).kind()
    finally:
        engine.dispose()


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(database_url) as proxy:
        yield proxy


def test_a_connection_to_the_server_is_direct(database_url: str, proxy: Proxy) -> None:
    """
    Also by way of something that only passes bytes on.
    """
    assert (ConnectionKind.DIRECT, ConnectionKind.DIRECT) == (kind(database_url), kind(proxy.url()))


def test_a_made_up_process_is_a_pooler(proxy: Proxy) -> None:
    """
    One that keeps its process for a client as long as that is there is a session pooler.
    """
    proxy.announces = 1234567

    assert ConnectionKind.SESSION_POOLER == kind(proxy.url())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_transaction_pooler_shares_its_processes(own_server: Callable[..., OwnServer], size: int) -> None:
    """
    However many it has, and though ours announces a process that there is.
    """
    server = own_server()
    with psycopg.connect(server.url) as connection:
        [folder] = connection.execute("SHOW unix_socket_directories").fetchone() or ()

    with Pooler(Path(folder.strip('"')) / ".s.PGSQL.5432", size) as pooler:
        assert ConnectionKind.TRANSACTION_POOLER == kind(pooler.url())


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}, {"poolclass": NullPool}], ids=str)
def test_an_application_s_engine_may_be_set_up_as_it_likes(database_url: str, options: dict[str, object]) -> None:
    """
    With psycopg 2 as with psycopg 3.
    """
    engines = [_engine(database_url, driver, options) for driver in ("psycopg", "psycopg2")]

    kinds = [PostgresConnections(engine).kind() for engine in engines]
    for engine in engines:
        engine.dispose()

    assert [ConnectionKind.DIRECT] * 2 == kinds


def _engine(url: str, driver: str, options: dict[str, object]) -> Engine:
    return create_engine(url.replace("postgresql://", f"postgresql+{driver}://"), **options)
