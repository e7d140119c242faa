"""Heartbeat: renews the worker's lease from a thread, whatever the event loop is doing."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from app.domain.identifiers import TaskId
from app.usecases.transaction import UnitOfWork
from app.usecases.workers import Beat
from app.worker.pauses import Pauses

_log = logging.getLogger("app.worker")

BEATS_PER_LEASE = 4
"""So that three may fail in a row."""
_LONGEST_INTERVAL = 15.0
_SLOW = 2.0
"""Seconds after which a beat counts as trouble: the database hung, and others' beats may still be on their way."""
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Heartbeat:
    """One row, one statement a beat. From this thread ``on_lost`` is called when the worker was taken for dead, and
    ``on_cancel`` with tasks that it runs and that are cancelled, at each beat until they have ended."""

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        lease: float,
        *,
        hears: Callable[[], bool | None],
        on_lost: Callable[[str], None],
        on_cancel: Callable[[Sequence[TaskId]], None],
    ) -> None:
        self._unit_of_work = unit_of_work
        self._interval = min(lease / BEATS_PER_LEASE, _LONGEST_INTERVAL)
        self._hears = hears
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._steady_since = self._beat_at = float("-inf")
        self.worker_id = ""

    def start(self, worker_id: str) -> None:
        """Beat for *worker_id*, which is registered; called again with the next life's id after a lease was lost."""
        self.worker_id = worker_id
        if self._thread is None:
            # Whoever has just come cannot know whether the database has, too, and must let the others beat first.
            self._steady_since = self._beat_at = _moment()
            self._thread = threading.Thread(target=self._run, name="app-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def steady_for(self) -> float:
        """Seconds since the start, or the last trouble with beating; 0 while a beat is overdue.

        Then the database hangs, or this process was frozen, and perhaps the others with it: their machine was asleep.
        """
        now = _moment()
        return 0.0 if self._is_late(now) else now - self._steady_since

    def _is_late(self, now: float) -> bool:
        return now - self._beat_at > 2 * self._interval

    def _run(self) -> None:
        pauses = Pauses("Heartbeat")
        pause = self._interval
        while not self._stopping.wait(pause):
            worker_id, began = self.worker_id, _moment()
            try:
                pulse = self._unit_of_work.run(Beat(), worker_id, hears_notifications=self._hears())
            except Exception as error:  # this loop must survive whatever the database does
                self._steady_since = _moment()
                pause = min(pauses.failed(error), self._interval)
                continue
            pauses.succeeded()
            pause = self._interval
            if self._is_late(now := _moment()):
                self._steady_since = now
            self._beat_at = began
            if now - began > _SLOW:
                self._steady_since = now
                pause = 0.0  # what it stored is the moment it was sent, which by now may be a lease ago
            if not pulse.is_alive and worker_id == self.worker_id:
                self._on_lost(worker_id)
            if pulse.cancelled:
                self._on_cancel(pulse.cancelled)


def _moment() -> float:
    """Seconds that go on while the machine is asleep, as the database's clock does."""
    return time.clock_gettime(_CLOCK)
