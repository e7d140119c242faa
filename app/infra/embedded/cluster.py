"""The data of one PostgreSQL server in a folder, with the verbs that make, start and stop it."""

import hashlib
import logging
import os
import re
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from app.infra.embedded.errors import EmbeddedPostgresUnavailable
from app.infra.embedded.programs import complaint, installation_for, run, shipped

_log = logging.getLogger(__name__)

_PATIENCE = 300  # seconds for a start, crash recovery included
_LONGEST_LOG = 10_000_000  # bytes; a start puts a longer one aside
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET = 103  # bytes; macOS takes 103, Linux 107
# Others need care in a URL: a comma is several hosts to libpq, a colon a port to SQLAlchemy.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_ /.+~=@-]+")
_PRIVATE = 0o700


class Cluster:
    """One server's data, its programs and whether it runs; who uses it is not asked here.

    In ``home`` are ``cluster`` (the data), ``server.log`` and the socket. PostgreSQL trusts whoever reaches
    the socket, so only its owner and root can.
    """

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.data = self.home / "cluster"
        self.log = self.home / "server.log"
        self._settings = settings or {}
        self._owner: tuple[int, int] | None = None  # user and group to become, when we are root
        self._sockets = _place_for_sockets(self.home)

    def prepare(self) -> None:
        """Make the folder, unless it is there, and find out as whom its server runs."""
        shipped()  # first, so that a machine without it gets no folder and Windows no ImportError
        from app.infra.embedded.access import owner_of

        self.home.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self._owner = owner_of(self.home)

    def initialise(self) -> None:
        """Make the data, unless they are there. Only one process at a time may do this."""
        for left in self.home.glob("cluster.new-*"):
            shutil.rmtree(left, ignore_errors=True)  # whose initdb may still be running
        if self.data.exists():
            return
        # initdb writes PG_VERSION first, so what it left when it was killed looks like a database: rename.
        unfinished = self.home / f"cluster.new-{os.getpid()}"
        # C.UTF-8 is PostgreSQL's own: Unicode's letters, in the order of their numbers, on any system.
        made = self._run(
            "initdb", f"--pgdata={unfinished}", "--username=postgres", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        if made.returncode:
            raise EmbeddedPostgresUnavailable(f"initdb failed in {self.home}: {complaint(made.stdout)}")
        unfinished.rename(self.data)
        handle = os.open(self.home, os.O_RDONLY)
        os.fsync(handle)  # initdb has done its part; now the new name is safe too
        os.close(handle)

    def start(self) -> None:
        """Return when the server takes connections. Only one process at a time may do this."""
        if self._sockets != self.home:
            self._make_place_for_sockets()
        deadline = time.monotonic() + _PATIENCE
        while (answer := self._answer()) != "accepting":
            if time.monotonic() > deadline:
                raise EmbeddedPostgresUnavailable(f"not ready after {_PATIENCE} s, see {self.log}")
            if answer == "silent" and self.postmaster() is None:
                self._launch()
            else:  # it recovers or shuts down, and whoever asked for that is gone
                time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs: ``smart``, ``fast`` or ``immediate``, as ``pg_ctl`` means it."""
        if self.postmaster() is None:  # pg_ctl would signal whoever has its old process id now
            return
        stopped = self._run("pg_ctl", "stop", f"--mode={mode}", "--wait", "--timeout=60")
        if stopped.returncode:
            _log.warning("The embedded PostgreSQL did not stop: %s", complaint(stopped.stdout))
        elif self._sockets != self.home:
            with suppress(OSError):
                self._sockets.rmdir()

    def url_of(self, database: str) -> str:
        """The URL of one of the databases, for SQLAlchemy and libpq alike."""
        # The port is said, because libpq would take another one from PGPORT.
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self._sockets))}&port=5432"

    def postmaster(self) -> int | None:
        """The server's process id; what a dead one left in ``postmaster.pid`` does not count.

        That id may be a zombie's where nobody reaps, or another process's: after a reboot small ids come
        again.
        """
        import psutil  # the wheel brings it

        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid).as_dict(["cmdline", "cwd"])
        except (FileNotFoundError, ValueError, psutil.Error):
            return None
        # By its working directory we know one that was started by hand; reading that takes more rights.
        ours = str(self.data) in (process["cmdline"] or ()) or process["cwd"] == str(self.data)
        return pid if ours else None

    def _answer(self) -> str:
        # With a user, or libpq looks ours up, and an id without a name ends the attempt.
        asked = self._run(
            "pg_isready", f"--host={self._sockets}", "--port=5432", "--username=postgres", "--dbname=postgres"
        )
        return {0: "accepting", 1: "rejecting"}.get(asked.returncode, "silent")

    def _launch(self) -> None:
        # PostgreSQL believes a zombie or a stranger in these files, and refuses. Should backends of a dead
        # server still run, it sees that in its shared memory, with these files or without.
        for stale in self.data / "postmaster.pid", self._sockets / f"{_SOCKET}.lock":
            stale.unlink(missing_ok=True)
        before = self.log.stat().st_size if self.log.exists() else 0
        if before > _LONGEST_LOG:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
            before = 0
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{self._sockets}"',  # or a comma would begin another one
            "unix_socket_permissions": f"{_PRIVATE:04o}",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        # pg_ctl has its shell read a path between double quotes, where `$` has a meaning; so it gets the
        # data's path from the environment, and the log's is relative. It gives the server a session of its
        # own, where no Ctrl-C of the terminal arrives.
        options = ["-D", str(self.data)]
        for name, value in settings.items():
            options += ["-c", f"{name}={value}"]
        started = self._run(
            "pg_ctl", "start", "--wait", f"--timeout={_PATIENCE}", f"--log={self.log.name}",
            f"--options={shlex.join(options)}",
        )  # fmt: skip
        if started.returncode and self.postmaster() is None:
            said = self.log.read_bytes()[before:].decode(errors="replace") if self.log.exists() else ""
            reason = complaint(said + started.stdout)
            # A backend of a dead server, busy with a query, ends when it next waits for something: try again.
            if "pre-existing shared memory block" not in reason:
                raise EmbeddedPostgresUnavailable(f"no start in {self.home}: {reason}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        programs = installation_for(self.data) / "bin"
        return run(programs / program, *arguments, data=self.data, owner=self._owner)

    def _make_place_for_sockets(self) -> None:
        self._sockets.mkdir(mode=_PRIVATE, exist_ok=True)
        if self._owner and self._sockets.lstat().st_uid == 0:
            os.chown(self._sockets, *self._owner, follow_symlinks=False)
        # The name can be guessed, so somebody else may have been here first.
        found, owner = self._sockets.lstat(), self._owner[0] if self._owner else os.geteuid()
        if found.st_uid != owner or found.st_mode != stat.S_IFDIR | _PRIVATE:
            raise EmbeddedPostgresUnavailable(f"{self._sockets} is not the private folder that it should be")


def _place_for_sockets(home: Path) -> Path:
    """The home, or a folder in /tmp for a home whose path a socket cannot have."""
    path = os.fsencode(home)
    if len(path) + 1 + len(_SOCKET) <= _LONGEST_SOCKET and _PLAIN_PATH.fullmatch(str(home)):
        return home
    # Not TMPDIR: at times that is long too, or closed to the server's user.
    return Path("/tmp", f"postgres-{hashlib.sha256(path).hexdigest()[:16]}")  # noqa: S108
