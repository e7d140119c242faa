"""Threads for handlers that are plain functions: kept for reuse, never in the way of the process's end."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

_IDLE = 30.0
"""Seconds an idle thread is kept."""


class HandlerThreads:
    """Daemon threads: those of a ThreadPoolExecutor are joined when the interpreter ends, so that one hanging handler
    would keep the process alive for ever.

    The bound is the caller's: a thread is started whenever none is idle.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Run *work*, which must not raise, in a thread."""
        with self._lock:
            starts = self._idle == 0
            if not starts:
                self._idle -= 1
        if starts:
            threading.Thread(target=self._run, args=(work,), name="app-handler", daemon=True).start()
        else:
            self._work.put(work)

    def _run(self, work: Callable[[], None]) -> None:
        while True:
            work()
            with self._lock:
                self._idle += 1
            try:
                work = self._work.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                # Work was promised to an idle thread in this very moment: it is ours.
                work = self._work.get()
