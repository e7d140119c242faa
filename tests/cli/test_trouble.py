"""Databases that are not there, the one that comes along, and readers that go away."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.infra.embedded import Cluster
from tests.cli.running import PATIENCE, ROOT, Cli, Running, environment, run

NOBODY = "postgresql://ada:hunter%202@127.0.0.1:1/shop"
"""Port 1 of this machine, where no PostgreSQL listens."""


@pytest.fixture
def home(server_folder: Path) -> Iterator[Path]:
    """A working directory that the embedded server's account gets to, with a short path."""
    home = server_folder / uuid4().hex[:8]
    home.mkdir()
    home.chmod(0o755)
    yield home
    for data in home.glob("**/cluster"):
        cluster = Cluster(data.parent)
        cluster.prepare()
        cluster.stop("immediate")
    shutil.rmtree(home)


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats"],
        ["list", "--json"],
        ["enqueue", "a:b"],
        ["migrate"],
        ["show", str(uuid4())],
        ["cleanup", "--older-than", "7d"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_database_out_of_reach_is_one_sentence(
    call: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """On standard error, with exit code 1, and without the password."""
    monkeypatch.setenv("DATABASE_URL", NOBODY)

    ended = call(*arguments)

    assert (1, "", 1) == (ended.code, ended.out, len(ended.err.splitlines()))
    assert ended.err.startswith("error: The database is not available")
    assert "hunter" not in ended.err


def test_check_says_that_the_database_is_out_of_reach(call: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of the things that may be wrong."""
    monkeypatch.setenv("DATABASE_URL", NOBODY)

    ended = call("check")

    assert (1, 1) == (ended.code, len(ended.out.splitlines()))
    assert "The database is not available" in ended.out
    assert "hunter" not in ended.out + ended.err


def test_a_worker_waits_for_its_database_and_can_be_stopped(tmp_path: Path) -> None:
    """It says what it waits for, without the password, and ends with 0."""
    with Running(["worker"], folder=tmp_path, database_url=NOBODY) as worker:
        worker.wait_until_said("127.0.0.1")
        code = worker.ended_by(signal.SIGTERM)

    assert 0 == code
    assert "hunter" not in worker.log
    assert "Traceback" not in worker.log


def test_without_a_database_url_the_data_stay_in_the_working_directory(home: Path) -> None:
    """A task that one command enqueued is found by the next, each of which starts and stops the server."""
    enqueued = run(["enqueue", "a:b", "--json"], folder=home).json
    listed = run(["list", "--json"], folder=home).json

    assert [enqueued] == listed
    assert (home / ".data" / "postgres").is_dir()


def test_a_reader_that_goes_away_is_no_trouble(database_url: str, tmp_path: Path) -> None:
    """``list | head``: no traceback, whether the pipe breaks in the midst of it or at its end."""
    many = [sys.executable, "-c", _MANY]
    subprocess.run(many, check=True, env=environment(database_url=database_url), cwd=ROOT, timeout=PATIENCE)

    for limit in ("1", "500"):
        reading, writing = os.pipe()
        os.close(reading)
        listed = subprocess.run(
            [sys.executable, "-m", "app", "list", "--json", "--limit", limit],
            check=False,
            cwd=tmp_path,
            env=environment(database_url=database_url),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
        os.close(writing)

        assert (1, "") == (listed.returncode, listed.stderr)


_MANY = """
from app import NewTask, TaskQueueContainer
tasks = TaskQueueContainer()
tasks.enqueue_tasks().execute([NewTask(type="a:b", payload={"text": "x" * 1000}) for _ in range(500)])
tasks.close()
"""
