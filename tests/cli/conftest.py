"""The command line in the test's own process, with and without a database."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from pytest_postgresql.executors import NoopExecutor

from app.__main__ import main
from tests.cli.running import ROOT, Cli, Ended, environment, run
from tests.server import Server


@pytest.fixture(scope="session")
def _common_url(server: Server, template: NoopExecutor) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    made, origin = sql.Identifier(name), sql.Identifier(template.template_dbname)
    with psycopg.connect(server.url_of(server.maintenance_dbname), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(made, origin))
        yield server.url_of(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made))


@pytest.fixture
def database_url(_common_url: str) -> str:
    """One migrated database for all tests of the command line, which are many; it is empty when a test begins."""
    with psycopg.connect(_common_url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE worker.tasks, worker.finished, worker.tallies, worker.workers, worker.schedules, worker.ticks,"
            " worker.dead_letter_actions"
        )
    return _common_url


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Calls main in an empty folder, with nothing configured."""
    kept = environment()
    for name in [name for name in os.environ if name not in kept]:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: str = "") -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture
def cli(call: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same on a migrated database, with the jobs of these tests."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("WORKER_JOBS", "tests.cli.jobs:jobs")
    return call


@pytest.fixture
def drain(database_url: str, tmp_path: Path) -> Cli:
    """``worker --drain`` with more arguments and settings, as a process: a worker's threads are its own."""

    def run_there(*arguments: str, **settings: str) -> Ended:
        known = {"database_url": database_url, "worker_jobs": "tests.cli.jobs:jobs"} | settings
        return run(["worker", "--drain", *arguments], folder=tmp_path, **known)

    return run_there
