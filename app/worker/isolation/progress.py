"""LatestProgress: what a handler reports on its way to the worker; of its progress only the newest matters."""

import threading
import time
from collections.abc import Callable

from app.domain.json import JsonText

_PAUSE = 0.1
"""Seconds between two reports at least: a handler may report each of a million steps, and the worker has to listen."""


class LatestProgress:
    """Passes reports on to *tell*: the first at once, then the newest after a pause; ``close`` tells what is left.

    Checkpoints go to *save*, each at once: what waits here is lost when the process dies.
    """

    def __init__(self, tell: Callable[[float, str | None], None], save: Callable[[JsonText], None]) -> None:
        self._tell = tell
        self._save = save
        self._lock = threading.Lock()
        self._told_at = float("-inf")
        self._latest: tuple[float, str | None] | None = None
        self._timer: threading.Timer | None = None
        self._closed = False

    def report(self, percent: float | None, message: str | None, checkpoint: JsonText | None = None) -> None:
        with self._lock:
            if self._closed:  # by a thread that outlived the handler; what it says would be taken for the next task's
                return
            if checkpoint is not None:
                self._save(checkpoint)
            if percent is None:
                return
            self._latest = (percent, message)
            wait = self._told_at + _PAUSE - time.monotonic()
            if wait <= 0:
                self._pass_on()
            elif self._timer is None:
                self._timer = threading.Timer(wait, self._later)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._pass_on()

    def _later(self) -> None:
        with self._lock:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._latest is not None:
            latest, self._latest = self._latest, None
            self._told_at = time.monotonic()
            self._tell(*latest)
