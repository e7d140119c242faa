"""MemoryWorkers: the register of workers kept in memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.workers import LiveWorker, Pulse, WorkerNode
from app.infra.memory.store import Draft


class MemoryWorkers:
    """Implements WorkerRegistry; the workers in here must share this process."""

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def register(self, node: WorkerNode) -> None:
        now = self._now()
        new = LiveWorker(node=node, started_at=now, last_seen_at=now, is_late=False, hears_notifications=None)
        known = self._draft.workers.get(node.id)
        # Known already when the first answer was lost and the worker announces itself again.
        self._draft.workers.put(node.id, new if known is None else replace(known, last_seen_at=now))

    def beat(self, worker_id: str, *, hears_notifications: bool | None) -> Pulse:
        worker = self._draft.workers.get(worker_id)
        if worker is None:
            return Pulse(is_alive=False)
        seen = replace(worker, last_seen_at=self._now(), hears_notifications=hears_notifications)
        self._draft.workers.put(worker_id, seen)
        return Pulse(True, tuple(task.id for task in self._draft.tasks.values() if _was_cancelled(task, worker_id)))

    def remove(self, worker_id: str) -> None:
        self._draft.workers.put(worker_id, None)

    def bury_silent(self) -> list[str]:
        silent = [worker.node.id for worker in self.all() if worker.is_late]
        for worker_id in silent:
            self.remove(worker_id)
        return silent

    def all(self) -> Sequence[LiveWorker]:
        workers = (replace(worker, is_late=self._is_late(worker)) for worker in self._draft.workers.values())
        return sorted(workers, key=lambda worker: (worker.started_at, worker.node.id))

    def _is_late(self, worker: LiveWorker) -> bool:
        return worker.last_seen_at + timedelta(seconds=worker.node.lease) < self._now()


def _was_cancelled(task: WorkerTask, worker_id: str) -> bool:
    """While this worker runs it."""
    return task.status is TaskStatus.RUNNING and task.worker_id == worker_id and task.cancel_requested_at is not None
