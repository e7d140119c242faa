"""MemoryNotifications: wake-ups from the units of work that share a store."""

import threading
from collections.abc import Callable

from app.infra.memory.store import MemoryStore


class MemoryNotifications:
    """Implements domain.notifications.Notifications. *on_wake* is called from whichever thread committed."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._on_wake: Callable[[str], None] | None = None

    def start(self, on_wake: Callable[[str], None]) -> None:
        with self._lock:
            self._on_wake = on_wake
        with self._store.lock:
            self._store.listeners.append(self._hear)

    def stop(self) -> None:
        """After this returns no call is under way and none will come."""
        with self._lock:
            self._on_wake = None
        with self._store.lock:
            if self._hear in self._store.listeners:
                self._store.listeners.remove(self._hear)

    def probe(self) -> bool:
        return True

    @property
    def hears(self) -> bool | None:
        return None if self._on_wake is None else True

    def _hear(self, queue: str) -> None:
        with self._lock:
            if self._on_wake is not None:
                self._on_wake(queue)
