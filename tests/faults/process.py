"""Worker processes: started for real, watched through their log, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.waiting import eventually

ROOT = Path(__file__).parents[2]
_OURS = ("WORKER_", "JOB_", "DATABASE_URL", "IN_MEMORY")
_QUICK: Mapping[str, object] = {
    "WORKER_JOBS": "tests.faults.jobs:jobs",
    "WORKER_LEASE": "2s",
    "WORKER_STALE_CHECK_INTERVAL": "0.5s",
    "WORKER_POLL_INTERVAL": "30s",
    "WORKER_SHUTDOWN_GRACE": "2s",
}
START = 20.0
"""Seconds a worker may take to come up, on a machine that does ten other things."""


class WorkerProcess:
    """``python -m app worker`` on the jobs of ``tests.faults.jobs``, its output in a file.

    *settings* are names of the environment, in any case; what they do not say is short enough for a test. With
    *listening* it also has the receivers of ``tests.faults.listeners``. *program* is what Python is to run instead.
    """

    def __init__(
        self,
        url: str,
        *,
        ledger: str,
        log: Path,
        listening: bool = False,
        program: Sequence[str] = ("-m", "app", "worker"),
        **settings: object,
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        given = {name.upper(): value for name, value in settings.items()}
        chosen = {**_QUICK, "DATABASE_URL": url, "FAULTS_LEDGER": ledger, **given}
        environment |= {name: str(value) for name, value in chosen.items()}
        if listening:
            environment["WORKER_LISTENERS"] = "tests.faults.listeners:connect"
        self._log = log
        with log.open("wb") as file:
            # Its standard input ends with us, and the jobs end with that (see tests/faults/jobs.py).
            self._process = subprocess.Popen(
                [sys.executable, *program],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Return once it is registered and claims."""
        self.wait_until_said(" runs ", within=START)

    def wait_until_said(self, text: str, *, within: float = 10.0, times: int = 1) -> None:
        def said() -> bool:
            assert self.is_alive or self.log.count(text) >= times, (
                f"the worker ended with {self._process.returncode} and never said {text!r}\n{self.log}"
            )
            return self.log.count(text) >= times

        eventually(said, within=within, what=f"the worker says {text!r}", log=lambda: self.log)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        self.send(signal.SIGTERM)

    def wait_until_ended(self, *, within: float) -> int:
        """Its exit code."""
        eventually(lambda: not self.is_alive, within=within, what="the worker ends", log=lambda: self.log)
        return self._process.wait()

    def clean_up(self) -> None:
        """However the test went: it is gone afterwards."""
        self._process.kill()  # also ends one that SIGSTOP holds
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
