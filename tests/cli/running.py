"""The command line, called in the test's own process or as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.waiting import eventually

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds a process may take for anything, on a machine that does ten other things."""

_OURS = ("WORKER_", "JOB_", "SMTP_", "DATABASE_URL", "DATA_DIR", "IN_MEMORY", "PYTHONUNBUFFERED")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Cli = Callable[..., Ended]


def environment(**settings: object) -> dict[str, str]:
    """This process's, less what configures a queue or hides what buffers do, with *settings* in any case."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"PYTHONPATH": str(ROOT)} | {name.upper(): str(value) for name, value in settings.items()}


def run(arguments: Sequence[str], *, folder: Path, stdin: str = "", **settings: object) -> Ended:
    """``python -m app`` with *arguments*, in *folder*."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        check=False,
        cwd=folder,
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Running:
    """A command that goes on until it is told to stop; use it in a ``with``, and nothing of it is left."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, **settings: object) -> None:
        self._log = folder / "running.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", *arguments],
                cwd=folder,
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_said(self, text: str, *, times: int = 1) -> None:
        def said() -> bool:
            assert self._process.poll() is None or self.log.count(text) >= times, f"ended early:\n{self.log}"
            return self.log.count(text) >= times

        eventually(said, within=PATIENCE, what=f"it says {text!r}", log=lambda: self.log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended_by(self, number: signal.Signals) -> int:
        """The exit code after this signal, which as in a terminal only the process itself is sent."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
