"""The verb worker: what it runs, how it logs, and how it starts anew."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.running import Cli, Running

CATALOG = """
from app import JobCatalog
jobs = JobCatalog()
@jobs.define("{type}")
def work(payload, context):
    return None
"""


def test_drain_runs_what_is_due_and_says_how_much(cli: Cli, drain: Cli) -> None:
    """And leaves what is not."""
    cli("enqueue", "text:upper", "--payload", '{"text": ""}')
    cli("enqueue", "text:upper", "--delay", "1h")

    assert "1 attempt(s) run\n" == drain().out
    assert (1, 1) == tuple(cli("stats", "--json").json[status] for status in ("pending", "completed"))


@pytest.mark.parametrize(
    ("option", "value", "left"),
    [
        ("--types", "text:up*", ["text:refuse"]),
        ("--types", "text:upper,text:refuse", []),
        ("--queues", "fast,slow", ["text:refuse"]),
        ("--queues", "elsewhere", ["text:refuse", "text:upper"]),
    ],
)
def test_a_worker_runs_only_what_it_is_told(cli: Cli, drain: Cli, option: str, value: str, left: list[str]) -> None:
    """Types with wildcards, queues by name, several with commas."""
    cli("enqueue", "text:upper", "--payload", '{"text": ""}', "--queue", "fast")
    cli("enqueue", "text:refuse")

    assert 0 == drain(option, value).code
    assert left == [task["type"] for task in cli("list", "--status", "pending", "--json").json]


def test_the_command_line_beats_the_environment(cli: Cli, drain: Cli) -> None:
    """Which beats ``.env``."""
    Path(".env").write_text("WORKER_TASK_TYPES=text:upper\nWORKER_QUEUES=nowhere\n")
    cli("enqueue", "text:refuse")

    assert "0 attempt(s) run\n" == drain(worker_queues="default").out
    assert "1 attempt(s) run\n" == drain("--types", "text:*", worker_queues="default").out


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere.at_all:jobs", "cannot be imported"),
        ("tests.cli.jobs:nothing", "is not there"),
        ("tests.cli.jobs", "names a module and nothing in it"),
        ("tests.cli.jobs:upper", "is no JobCatalog"),
    ],
)
def test_wrong_worker_jobs_stop_the_start(cli: Cli, monkeypatch: pytest.MonkeyPatch, place: str, reason: str) -> None:
    """With one sentence that names the variable, what was given, and what is allowed."""
    monkeypatch.setenv("WORKER_JOBS", place)

    ended = cli("worker", "--drain")

    assert 1 == ended.code
    assert ended.err.startswith(f"error: WORKER_JOBS: '{place}' {reason}")
    assert "must be package.module:name" in ended.err


@pytest.mark.parametrize(
    ("name", "value"), [("WORKER_CONCURRENCY", "0"), ("WORKER_LEASE", "soon"), ("WORKER_SCHEMA", "a b")]
)
def test_a_wrong_setting_stops_the_start(cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """With one sentence that names the variable."""
    monkeypatch.setenv(name, value)

    ended = cli("worker", "--drain")

    assert (1, 1) == (ended.code, len(ended.err.splitlines()))
    assert ended.err.startswith(f"error: {name}")


def test_a_wrong_database_url_is_told_without_its_password(call: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no URL of PostgreSQL."""
    monkeypatch.setenv("DATABASE_URL", "mysql://ada:hunter2@localhost/shop")

    ended = call("stats")

    assert (1, 1) == (ended.code, len(ended.err.splitlines()))
    assert "hunter2" not in ended.err


def test_json_makes_every_log_line_an_object(cli: Cli, drain: Cli) -> None:
    """Those of a handler name its task; standard output holds the number of attempts."""
    id = cli("enqueue", "text:upper", "--payload", '{"text": ""}', "--json").json["id"]

    ended = drain("--json")

    lines = [json.loads(line) for line in ended.err.splitlines()]
    [told] = [line for line in lines if line["logger"] == "app.jobs"]
    assert {"attempts": 1} == ended.json
    assert (id, "text:upper", 1) == (told["task_id"], told["task_type"], told["attempt"])
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in lines)


def test_listeners_that_are_not_there_stop_the_start(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that nobody listens to as meant must not run."""
    monkeypatch.setenv("WORKER_LISTENERS", "tests.cli.jobs:NAMES")

    ended = cli("worker", "--drain")

    assert (1, 1) == (ended.code, len(ended.err.splitlines()))
    assert ended.err.startswith("error: WORKER_LISTENERS: ")


def test_reload_starts_anew_when_a_file_changes(database_url: str, tmp_path: Path) -> None:
    """The new worker knows the new job; SIGINT ends both, with nothing left running."""
    home = tmp_path / "application"
    home.mkdir()
    catalog = home / "catalog_of_reload.py"
    catalog.write_text(CATALOG.format(type="before:change"))

    with Running(
        ["worker", "--reload"], folder=home, database_url=database_url, worker_jobs="catalog_of_reload:jobs"
    ) as worker:
        worker.wait_until_said(" runs before:change")
        catalog.write_text(CATALOG.format(type="after:the_change"))
        worker.wait_until_said(" runs after:the_change")
        [child] = _workers(home)
        code = worker.ended_by(signal.SIGINT)

    assert 0 == code
    assert not psutil.pid_exists(child)
    assert 2 == worker.log.count("has stopped after")
    assert "Traceback" not in worker.log


def _workers(folder: Path) -> list[int]:
    """The processes that work in *folder*, but for the one that watches."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == os.fspath(folder) and "--reload" not in process.cmdline():
                assert process.cmdline()[0] == sys.executable
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
