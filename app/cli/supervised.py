"""Supervised: a worker process in touch with the supervisor that has started it."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

VARIABLE = "_WORKER_SUPERVISOR"
"""Between the two: the number of the open socket that leads to the supervisor."""


class Supervised:
    """Calls *stop* when the supervisor is gone, whatever has ended it: nobody would stop this process otherwise."""

    def __init__(self, channel: socket.socket, stop: Callable[[], None]) -> None:
        self._channel = channel
        self._stop = stop
        threading.Thread(target=self._watch, name="app-supervisor", daemon=True).start()

    @classmethod
    def by_environment(cls, stop: Callable[[], None]) -> "Supervised | None":
        """None for a process that nobody supervises."""
        number = os.environ.pop(VARIABLE, None)  # out of it, so that no process started here takes it for its own
        if number is None:
            return None
        os.set_inheritable(int(number), False)
        return cls(socket.socket(fileno=int(number)), stop)

    def tell(self, attempts: int) -> None:
        """How many attempts were run."""
        with suppress(OSError):
            self._channel.sendall(str(attempts).encode())

    def _watch(self) -> None:
        with suppress(OSError):
            self._channel.recv(1)  # it never says anything; this is its end
        self._stop()
