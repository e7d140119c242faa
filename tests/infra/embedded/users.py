"""Processes that use the embedded server, and what can be seen of it from outside."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest

ROOT = os.geteuid() == 0
ME = os.geteuid()
# Root's tests are run again by somebody who is not; an ordinary user has only himself.
ORDINARY = pwd.getpwnam("nobody").pw_uid if ROOT else ME
ACCOUNTS = [pytest.param(user, id=pwd.getpwuid(user).pw_name) for user in dict.fromkeys([ME, ORDINARY])]

# A process that uses the server until it is told to end. It imports first and changes its user then, since an
# ordinary user may not get to root's Python.
PROGRAM = """
import fcntl, os, psutil, psycopg, pwd, signal, sys, types
from pathlib import Path

# Without the package's public names, whose import takes longer than everything that happens here.
sys.modules["app"] = types.ModuleType("app")
sys.modules["app"].__path__ = ["app"]
from app.infra.embedded import EmbeddedPostgres, EmbeddedPostgresUnavailable, access

user = int(sys.argv[2])
if os.geteuid() != user:
    os.setgroups([])
    os.setgid(pwd.getpwuid(user).pw_gid)
    os.setuid(user)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    url = EmbeddedPostgres(Path(sys.argv[1])).start()
except EmbeddedPostgresUnavailable as error:
    sys.exit(f"refused: {error}")
try:
    print(url, flush=True)
    if sys.stdin.read():
        raise RuntimeError("as told")
except KeyboardInterrupt:
    psycopg.connect(url).execute("CREATE TABLE written_after_the_interrupt ()").connection.commit()
"""


class User:
    """Another process that uses the server of a folder."""

    def __init__(self, home: Path, account: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(home), str(account)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
            start_new_session=True,  # so that a Ctrl-C can be sent to its group alone
        )

    def url(self) -> str:
        """The server's URL, once it has one."""
        line = _pipe(self.process.stdout).readline().strip()
        assert line, _pipe(self.process.stderr).read()
        return line

    def end(self, said: str = "", *, by: signal.Signals | None = None) -> None:
        """Have it end and wait for that: it raises an error when something is said, or a signal is sent."""
        if by is not None:
            os.killpg(self.process.pid, by)
        self.process.communicate(said)

    def refusal(self) -> str:
        """What it says when it cannot have a server."""
        _, said = self.process.communicate()
        return said.strip()


def write(url: str, text: str) -> None:
    """Commit a line."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS lines (line text)")
        connection.execute("INSERT INTO lines VALUES (%s)", [text])


def written(url: str) -> list[str]:
    """All lines, in the order they were written."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS lines (line text)")
        return [line for (line,) in connection.execute("SELECT line FROM lines ORDER BY ctid")]


def answers(url: str) -> bool:
    """Whether a server takes connections there."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def postmasters(home: Path) -> list[int]:
    """The servers that run on the data of *home*."""
    return [process.pid for process in psutil.process_iter() if str(home / "cluster") in command(process)]


def command(process: psutil.Process) -> list[str]:
    """A process's command line; a zombie has none."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, but not for ever."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come about within 10 s"
        time.sleep(0.01)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
