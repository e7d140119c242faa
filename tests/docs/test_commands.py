"""The shell commands of the pages, run."""

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.docs.markdown import DEAD_LETTERS, README, ROOT, blocks, commands
from tests.docs.shell import environment

PATIENCE = 60.0


def test_the_two_commands_send_a_mail(server_folder: Path) -> None:
    """``make worker``, and from a second terminal enqueue and show: the .eml file is there, the story is as printed."""
    data = server_folder / "readme"
    surroundings = environment(DATA_DIR=str(data))
    start, enqueue, show, *_ = commands(README)

    with _running(start, surroundings, log=server_folder / "worker.log", until="runs email:send"):
        told = _run(enqueue, surroundings)
        task_id = told.split()[0]
        story = _until_completed(show.replace("ID", task_id), surroundings)
    mail = (data / "outbox" / f"{task_id}.eml").read_text()

    assert f"{task_id} email:send: enqueued\n" == told
    assert "To: ada@example.org" in mail
    assert _shape(blocks(README, "text")[0]) == _shape(story)


def test_every_command_of_the_operations_page_runs(database_url: str, tmp_path: Path) -> None:
    """Each ends with 0, but for check, which misses a living worker."""
    surroundings = environment(DATABASE_URL=database_url)
    expected = {"migrate": 0, "check": 1, "cleanup": 0, "retention": 0}

    ends = {
        shlex.split(command)[3]: subprocess.run(
            shlex.split(command), check=False, cwd=tmp_path, env=surroundings, capture_output=True, timeout=PATIENCE
        ).returncode
        for command in commands(ROOT / "docs" / "operations.md")
    }

    assert expected == ends


def test_every_command_about_dead_letters_runs(database_url: str, tmp_path: Path) -> None:
    """Each ends with 0, on a queue that has none."""
    surroundings = environment(DATABASE_URL=database_url)

    ends = {
        command: subprocess.run(
            shlex.split(command), check=False, cwd=tmp_path, env=surroundings, capture_output=True, timeout=PATIENCE
        ).returncode
        for command in commands(DEAD_LETTERS)
    }

    assert dict.fromkeys(commands(DEAD_LETTERS), 0) == ends
    assert 7 == len(ends)


@contextmanager
def _running(command: str, surroundings: dict[str, str], *, log: Path, until: str) -> Iterator[None]:
    """Have a command run in the checkout, from the moment its log holds *until*; its end is asked for by SIGTERM."""
    with log.open("w") as output:
        process = subprocess.Popen(
            shlex.split(command), cwd=ROOT, env=surroundings, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_for(lambda: until in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
        [worker] = psutil.Process(process.pid).children()
        worker.terminate()
        assert 0 == process.wait(PATIENCE), log.read_text()
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def _run(command: str, surroundings: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command), check=False, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=PATIENCE
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def _until_completed(command: str, surroundings: dict[str, str]) -> str:
    deadline = time.monotonic() + PATIENCE
    while "completed" not in (story := _run(command, surroundings)) and time.monotonic() < deadline:
        pass
    return story


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _shape(story: str) -> list[str]:
    """The words that stand in every story: the first two of the head, then the name of each fact."""
    head, state, *facts = story.strip().splitlines()
    return [head.split()[0], *re.findall(r"[a-z]+", state)[:2], *(fact.split()[0] for fact in facts)]
