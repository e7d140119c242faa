"""Benches: on the session's server, and on one of ours that tests may break."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.faults.bench import Bench
from tests.faults.ledger import TABLE, Ledger
from tests.faults.proxy import Proxy
from tests.server import OwnServer, Server


@pytest.fixture(scope="session")
def ledger(server: Server) -> Iterator[Ledger]:
    """One for all tests: entries are told apart by their tasks."""
    name = f"ledger_{uuid4().hex}"
    maintenance = server.url_of(server.maintenance_dbname)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    ledger = Ledger(server.url_of(name))
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute(TABLE)
    yield ledger
    ledger.close()
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def new_bench(ledger: Ledger, tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Makes benches at a URL; no worker of theirs outlives the test."""
    with ExitStack() as benches:

        def make(url: str) -> Bench:
            bench = Bench(url, ledger, tmp_path)
            benches.callback(bench.close)
            return bench

        yield make


@pytest.fixture
def bench(new_bench: Callable[[str], Bench], database_url: str) -> Bench:
    """A bench on a database of its own, on the session's server."""
    return new_bench(database_url)


@pytest.fixture
def proxy(bench: Bench) -> Iterator[Proxy]:
    """Another way to the bench's database, which the test controls."""
    proxy = Proxy(bench.url)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def _one_to_break(server_folder: Path) -> OwnServer:
    # One for the session, because making a server takes longer than breaking it.
    server = OwnServer(server_folder / "breakable", {"max_connections": "40"})
    server.start()
    return server


@pytest.fixture
def breakable(_one_to_break: OwnServer) -> OwnServer:
    """A running server that the test may stop, restart and kill; it takes 40 connections."""
    _one_to_break.start()
    return _one_to_break


@pytest.fixture
def breakable_bench(new_bench: Callable[[str], Bench], breakable: OwnServer) -> Bench:
    """A bench on a new database of the ``breakable`` server."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(breakable.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    bench = new_bench(breakable.url_of(name))
    bench.tasks.migrations().upgrade()
    return bench
