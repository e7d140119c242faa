"""Threads for handlers that are plain functions: kept for reuse, never in the way of the process's end."""

import logging
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("app.worker")

_IDLE = 30.0
"""Seconds an idle thread is kept."""


class HandlerThreads:
    """Daemon threads: those of a ThreadPoolExecutor are joined when the interpreter ends, so that one hanging handler
    would keep the process alive for ever.

    Work waits in one line. While it does, one more thread is on its way to it, and never two: whoever takes a piece and
    sees another behind it sends for the next thread before running its own. So handlers that block are all in threads
    of their own within moments, while those that do not are run by the few threads that get hold of the interpreter,
    without a change of threads for each. The bound is the caller's, who limits how much is run at once.
    """

    def __init__(self) -> None:
        self._work: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._idle: list[
            threading.Lock
        ] = []  # a bell of each: it waits for the release; the last to rest is rung first
        self._coming = False
        self._closed = False

    def close(self) -> None:
        """Keep no idle thread any longer; those at work end when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for bell in idle:
            bell.release()

    def submit(self, work: Callable[[], None]) -> None:
        """Run *work*, which must not raise, in a thread."""
        # In this order, and the other way round in the thread that arrives: it sees what found it on its way.
        self._work.append(work)
        if not self._coming:
            self._send_for_one()

    def _send_for_one(self) -> None:
        with self._lock:
            if self._coming or not self._work:
                return
            self._coming = True
            bell = self._idle.pop() if self._idle else None
        if bell is not None:
            bell.release()
            return
        try:
            threading.Thread(target=self._run, name="app-handler", daemon=True).start()
        except RuntimeError:
            # The line stays: of the threads there are, the next to be done goes on with it, and sends again.
            self._coming = False
            _log.error("No thread can be started for a handler, and %d wait for one", len(self._work))

    def _run(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        self._coming = False
        while True:
            try:
                work = self._work.popleft()
            except IndexError:
                if not self._rest(bell):
                    return
                continue
            if self._work and not self._coming:
                self._send_for_one()
            work()
            del work  # which holds the task, and may be the last to

    def _rest(self, bell: threading.Lock) -> bool:
        """Wait to be sent for; False when nobody did for long."""
        with self._lock:
            if self._work and not self._coming:
                return True
            if self._closed:
                return False
            self._idle.append(bell)
        if not bell.acquire(timeout=_IDLE):
            with self._lock:
                if bell in self._idle:
                    self._idle.remove(bell)
                    return False
            # Sent for in this very moment.
            bell.acquire()
        self._coming = False
        return True
