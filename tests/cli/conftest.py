"""The command line in the test's own process, with and without a database."""

import io
import os
from pathlib import Path

import pytest

from app.__main__ import main
from tests.cli.running import Cli, Ended, environment, run


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
    known = {"database_url": database_url, "worker_jobs": "tests.cli.jobs:jobs"}

    def run_there(*arguments: str, **settings: object) -> Ended:
        return run(["worker", "--drain", *arguments], folder=tmp_path, **{**known, **settings})

    return run_there
