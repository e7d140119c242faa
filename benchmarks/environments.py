"""Environments: each peer in a virtual environment of its own, its versions pinned in ``peers/``."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDER = ROOT / ".bench"

SYSTEMS = ("floor", "ours", "awa", "pgqueuer", "chancy", "procrastinate", "dbos")
"""All of them, in the order of the tables. The floor and ours run in the project's own environment."""
_OWN = ("floor", "ours")
_PATIENCE = 900


class CannotInstall(Exception):
    """A peer's environment cannot be made here."""


def python_of(system: str, tell: Callable[[str], None]) -> Path:
    """The interpreter with *system* installed, which is done now unless it is there. Raises CannotInstall."""
    if system in _OWN:
        return Path(sys.executable)
    requirements = HERE / "peers" / f"{system}.txt"
    home = FOLDER / "environments" / system
    stamp = home / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        tell(f"making the environment of {system}: {requirements.relative_to(ROOT)}")
        shutil.rmtree(home, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(home))
        _run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements))
        stamp.write_text(wanted)
    return home / "bin" / "python"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise CannotInstall(f"{' '.join(command)} took longer than {_PATIENCE} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if not line.startswith("WARNING")]
        raise CannotInstall(" ".join(said[-3:]) or f"{command[0]} ended with code {done.returncode}")
