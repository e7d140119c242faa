"""The worked example, run as its page says, on a database with nothing in it."""

import shlex
import subprocess
from pathlib import Path

from tests.docs.markdown import ROOT, commands
from tests.docs.shell import environment

PAGE = ROOT / "examples" / "onboarding" / "README.md"


def test_the_example_does_what_its_page_says(empty_database_url: str, tmp_path: Path) -> None:
    """Somebody signs up, a worker sends the welcome, and the list shows what is to come."""
    surroundings = environment(DATABASE_URL=empty_database_url, DATA_DIR=str(tmp_path), PYTHONPATH=str(ROOT))
    sign_up, drain, show, _tests = [shlex.split(command) for command in commands(PAGE)]

    said = [_run(command, surroundings) for command in (sign_up, drain, show)]

    [mail] = (tmp_path / "onboarding").iterdir()
    assert "Ada has signed up" in said[0]
    assert 3 == said[0].count("09:00 Europe/Berlin")
    assert "1 attempt(s) run\n" == said[1]
    assert 3 == said[2].count("pending")
    assert "To: ada@example.org" in mail.read_text()


def _run(command: list[str], surroundings: dict[str, str]) -> str:
    done = subprocess.run(
        ["python", *command[1:]], check=False, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=60
    )
    assert 0 == done.returncode, f"{command}: {done.stderr}"
    return done.stdout
