"""The Python programs of our pages, each a file of its own, run as they stand there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.markdown import DEAD_LETTERS, FAILURE, JOBS, README, SCHEDULES, blocks, commands
from tests.docs.shell import environment

LINES = 20
PROGRAMS = {block.splitlines()[0].removeprefix("# "): block for block in blocks(README, "python")}
FAILURE_PROGRAMS = {block.splitlines()[0].removeprefix("# "): block for block in blocks(FAILURE, "python")}
JOB_PROGRAMS = [block for block in blocks(JOBS, "python") if block.splitlines()[0].endswith(".py")]


def test_embedding_takes_twenty_lines() -> None:
    """The first program is a whole application, and short."""
    lines = [line for line in PROGRAMS["shop.py"].splitlines() if line.strip() and not line.startswith("#")]

    assert len(lines) <= LINES


def test_every_program_does_what_the_page_says(empty_database_url: str, tmp_path: Path) -> None:
    """What each prints, on a database with nothing in it, and then the worker's command, which finds nothing left."""
    surroundings = environment(DATABASE_URL=empty_database_url)
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)

    printed = {name: _run([sys.executable, name], tmp_path, surroundings) for name in PROGRAMS}
    [worker] = [command for command in commands(README) if command.startswith("WORKER_JOBS=")]
    jobs, *drain = shlex.split(worker)

    assert "{'shipped': 7, 'attempt': 1}\n" == printed["shop.py"]
    assert "2 attempts\n" == printed["shop_async.py"]
    assert "pending\n" == printed["shop_container.py"]
    assert "" == printed["answers.py"]
    assert "nightly: 0 2 * * * (America/New_York)\noften: every 0:05:00\n" == printed["shop_schedules.py"]
    assert ["{'shipped': 10, 'attempt': 1}", "KeyError: 'order' False"] == _told(printed["listeners.py"])
    assert "0 attempt(s) run\n" == _run(drain, tmp_path, surroundings | dict([jobs.split("=", 1)]))


def test_the_whole_job_of_its_page_runs(empty_database_url: str, tmp_path: Path) -> None:
    """From the model to the result, as it stands there."""
    [program] = JOB_PROGRAMS
    (tmp_path / "mailing.py").write_text(program)

    printed = _run([sys.executable, "mailing.py"], tmp_path, environment(DATABASE_URL=empty_database_url))

    assert "<12@example.org>\n" == printed


def test_the_programs_about_failure_do_what_their_page_says(empty_database_url: str, tmp_path: Path) -> None:
    """One is cancelled while it runs, one is stopped by its soft timeout."""
    surroundings = environment(DATABASE_URL=empty_database_url)
    for name, text in FAILURE_PROGRAMS.items():
        (tmp_path / name).write_text(text)

    printed = {name: _run([sys.executable, name], tmp_path, surroundings) for name in FAILURE_PROGRAMS}

    assert {
        "copying.py": "running\ncancelled ordered twice []\n",
        "crawling.py": "{'complete': False, 'any': True, 'in time': True}\n",
    } == printed


def test_the_whole_schedule_of_its_page_ticks(empty_database_url: str, tmp_path: Path) -> None:
    """Reconciled, listed, and made up for a time when there was no worker; its commands are the command line's."""
    program, *_ = [block for block in blocks(SCHEDULES, "python") if block.startswith("# nightly.py")]
    (tmp_path / "nightly.py").write_text(program)
    surroundings = environment(DATABASE_URL=empty_database_url, WORKER_JOBS="nightly:jobs")

    printed = _run([sys.executable, "nightly.py"], tmp_path, surroundings).splitlines()
    listed, paused, resumed, ran, made_up, history, _ = commands(SCHEDULES)
    told = [_run(shlex.split(one), tmp_path, surroundings) for one in (listed, paused, resumed, ran, made_up, history)]

    assert [
        "nightly-report | 0 2 * * * (America/New_York) | ticking",
        "stock | every 6:00:00 | ticking",
        "2 tasks",
    ] == printed[:3]
    days = [f"Sales of the day before 2026-03-0{day} (backfill)" for day in (1, 2)]
    assert days == sorted(printed[3:])
    assert told[0].startswith("KEY")
    assert ["nightly-report: paused\n", "nightly-report: 5 task(s) enqueued\n"] == [told[1], told[4]]
    assert told[3].endswith("report:nightly: enqueued\n")
    assert "manual" in told[5]


def test_the_dead_letter_of_its_page_comes_back(empty_database_url: str, tmp_path: Path) -> None:
    """It dies, somebody is told, and it is found and put back."""
    [program] = blocks(DEAD_LETTERS, "python")
    (tmp_path / "deaths.py").write_text(program)

    printed = _run([sys.executable, "deaths.py"], tmp_path, environment(DATABASE_URL=empty_database_url))

    assert [
        "card:charge is rejected: FailForGood: the card was stolen",
        "True {'order': 7} 1",
        "pending 0 1",
    ] == printed.splitlines()


def _run(command: list[str], folder: Path, surroundings: dict[str, str]) -> str:
    done = subprocess.run(
        command, check=False, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=60
    )
    assert 0 == done.returncode, f"{command}: {done.stderr}"
    return done.stdout


def _told(printed: str) -> list[str]:
    """The lines, less the ids before a result and the duration after it; two tasks ran, in any order."""
    return sorted((re.sub(r"^\S+ ({.*}) \S+$", r"\1", line) for line in printed.splitlines()), reverse=True)
