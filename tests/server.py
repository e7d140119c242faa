"""How the tests get a PostgreSQL server: one for the session, others of their own to break."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from app.infra.embedded import Cluster

# Waits until whoever started it is gone, and stops the servers that were left in a folder.
_GUARD = """
import shutil, sys
from pathlib import Path
from app.infra.embedded import Cluster

folder = Path(sys.argv[1])
sys.stdin.read()
for data in folder.glob("**/cluster"):
    cluster = Cluster(data.parent)
    cluster.prepare()
    cluster.stop("immediate")
shutil.rmtree(folder, ignore_errors=True)
"""


class Server:
    """A running server, and what pytest-postgresql asks of the fixture that its template depends on."""

    options = ""
    template_dbname = "template0"

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")
        self.host = _one(self._url, "host") or self._url.host or "localhost"
        self.port = int(_one(self._url, "port") or self._url.port or 5432)
        self.user = self._url.username or "postgres"
        self.password = self._url.password
        self.maintenance_dbname = self._url.database or "postgres"

    def url_of(self, database: str) -> str:
        """The URL of one of its databases, for SQLAlchemy and libpq alike."""
        # SQLAlchemy leaves a space in a password as it is, which libpq refuses.
        return self._url.set(database=database).render_as_string(hide_password=False).replace(" ", "%20")


class OwnServer:
    """A server that its test may stop, restart and kill; its data are in a folder and outlive that."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self._cluster = Cluster(folder, settings)

    @property
    def url(self) -> str:
        """The URL of its database ``postgres``; the same after a restart."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of one of its databases."""
        return self._cluster.url_of(database)

    def start(self) -> None:
        """Start it and return when it takes connections."""
        self._cluster.prepare()
        self._cluster.initialise()
        self._cluster.start()

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``immediate`` is a crash, ``fast`` cuts the connections off, ``smart`` waits for them."""
        self._cluster.stop(mode)

    def restart(self, mode: str = "immediate") -> None:
        """Stop it and start it."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """``kill -9`` its main process; the others notice and end."""
        postmaster = self._cluster.postmaster()
        assert postmaster, "it does not run"
        os.kill(postmaster, signal.SIGKILL)


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A temporary folder; no server in it outlives this process, even when it is killed.

    It is not in pytest's own: each pytest that starts closes that one to others than its user, and when we are
    root the server is another.
    """
    folder = Path(tempfile.mkdtemp(prefix="app-tests-"))
    folder.chmod(0o711)
    # The end of its standard input is our end, whatever the reason. In a session of its own no Ctrl-C arrives.
    guard = subprocess.Popen(
        [sys.executable, "-c", _GUARD, folder],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        yield folder
    finally:
        guard.communicate()


def _one(url: URL, name: str) -> str | None:
    value = url.query.get(name)
    return value if isinstance(value, str) or value is None else value[0]
