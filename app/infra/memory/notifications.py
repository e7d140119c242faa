"""MemoryNotifications: hints from the units of work that share a store."""

import threading
from collections.abc import Callable, Sequence

from app.domain.identifiers import TaskId
from app.infra.memory.store import MemoryStore


class MemoryNotifications:
    """Implements domain.notifications.Notifications. It calls from whichever thread committed."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._is_started = False
        self._on_wake: Callable[[str], None]
        self._on_cancel: Callable[[Sequence[TaskId]], None]
        self._on_schedules: Callable[[], None]

    def start(
        self,
        on_wake: Callable[[str], None],
        on_cancel: Callable[[Sequence[TaskId]], None] = lambda task_ids: None,
        on_schedules: Callable[[], None] = lambda: None,
    ) -> None:
        with self._lock:
            self._is_started = True
            self._on_wake, self._on_cancel, self._on_schedules = on_wake, on_cancel, on_schedules
        with self._store.lock:
            self._store.listeners.append(self._wake)
            self._store.cancelling.append(self._cancel)
            self._store.rescheduling.append(self._reschedule)

    def stop(self) -> None:
        """After this returns no call is under way and none will come."""
        with self._lock:
            was_started, self._is_started = self._is_started, False
        with self._store.lock:
            if was_started:
                self._store.listeners.remove(self._wake)
                self._store.cancelling.remove(self._cancel)
                self._store.rescheduling.remove(self._reschedule)

    def probe(self) -> bool:
        return True

    @property
    def hears(self) -> bool | None:
        return True if self._is_started else None

    def _wake(self, queue: str) -> None:
        with self._lock:
            if self._is_started:
                self._on_wake(queue)

    def _cancel(self, task_ids: Sequence[TaskId]) -> None:
        with self._lock:
            if self._is_started:
                self._on_cancel(task_ids)

    def _reschedule(self) -> None:
        with self._lock:
            if self._is_started:
                self._on_schedules()
