"""One user's share of the embedded server, which ends with its last user.

The kernel does the counting. A user holds a shared lock on the cluster's folder, which ends with its process
whatever kills it; who leaves and can have that lock alone was the last one and stops the server. A second
lock, on the folder around it, lets one start or stop happen at a time.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.infra.embedded.cluster import Cluster
from app.infra.embedded.errors import EmbeddedPostgresUnavailable
from app.infra.embedded.locks import lock, locked

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A user of the server whose data live in a folder; they survive between runs.

    Any number of processes may use the same folder at once: the first starts the server, the last one stops
    it. When all were killed it keeps running, and the next user joins it. A forked child shares its parent's
    use.
    """

    def __init__(self, data: Path) -> None:
        self._cluster = Cluster(data)
        self._mutex = threading.Lock()
        self._joined = False
        self._use: int | None = None  # the descriptor that holds this user's lock

    def start(self) -> str:
        """Start the server or join the running one, and return its URL; called again, bring a dead one back.

        Raises ``EmbeddedPostgresUnavailable``.
        """
        cluster = self._cluster
        with self._mutex, _errors_explained():
            cluster.prepare()
            with locked(cluster.home):
                cluster.initialise()
                self._join()
                try:
                    cluster.start()
                except BaseException:  # Ctrl-C too: a server that nobody uses must not stay
                    self._leave()
                    raise
            return cluster.url_of("postgres")

    def close(self) -> None:
        """Stop using the server, and stop it when nobody else uses it. Registered with ``atexit`` as well."""
        with self._mutex:
            try:
                if self._joined:
                    with locked(self._cluster.home):
                        self._leave()
            # Somebody removed the data or the wheel; a server without data notices within a minute and ends.
            except (OSError, EmbeddedPostgresUnavailable) as error:
                _log.warning("Could not stop the embedded PostgreSQL: %s", error)

    def _join(self) -> None:
        if not self._joined:
            self._joined = True
            atexit.register(self.close)
        # Anew each time: the folder may have been removed and made again since.
        before, self._use = self._use, lock(self._cluster.data, shared=True)
        if before is not None:
            os.close(before)

    def _leave(self) -> None:
        use, self._use = self._use, None
        if use is not None:
            os.close(use)
        with suppress(BlockingIOError), locked(self._cluster.data, wait=False):
            self._cluster.stop()
        # Last: when a Ctrl-C cuts this short, there is another try at exit.
        self._joined = False
        atexit.unregister(self.close)


@contextmanager
def _errors_explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise EmbeddedPostgresUnavailable(f"{error.strerror or error}{where}") from error
