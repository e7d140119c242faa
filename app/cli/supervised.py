"""Supervised: a worker process in touch with the supervisor that has started it."""

import logging
import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Protocol

_log = logging.getLogger("app.supervisor")

VARIABLE = "_WORKER_SUPERVISOR"
"""Between the two: the number of the open socket that leads to the supervisor."""


class Stoppable(Protocol):
    """A worker: asked a second time by the same, it hurries."""

    def stop(self, by: str = "") -> None: ...
    @property
    def is_stopping(self) -> bool: ...


class Supervised:
    """Hears when to stop, and notices when the supervisor is gone: nobody else would stop this process then.

    Not by signals, because those of a service manager or container may come to every process at once, and what they are
    told twice means to hurry. Until there is a worker, to be stopped is to be ended.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._worker: Stoppable | None = None
        threading.Thread(target=self._listen, name="app-supervisor", daemon=True).start()

    @classmethod
    def by_environment(cls) -> "Supervised | None":
        """None for a process that nobody supervises."""
        number = os.environ.pop(VARIABLE, None)  # out of it, so that no process started here takes it for its own
        if number is None:
            return None
        os.set_inheritable(int(number), False)
        return cls(socket.socket(fileno=int(number)))

    def stops(self, worker: Stoppable) -> None:
        """From now on it is *worker* that is asked to stop."""
        self._worker = worker

    def tell(self, attempts: int) -> None:
        """How many attempts were run."""
        with suppress(OSError):
            self._channel.sendall(str(attempts).encode())

    def _listen(self) -> None:
        with suppress(OSError):
            while self._channel.recv(1):
                _log.info("Process %d: asked to stop", os.getpid())
                self._stop()
        if self._worker is None or not self._worker.is_stopping:
            self._stop()

    def _stop(self) -> None:
        if self._worker is None:
            signal.raise_signal(signal.SIGTERM)
        else:
            # A signal to every process may come here before or after what the supervisor makes of its own: it is one.
            self._worker.stop(by="supervisor")
