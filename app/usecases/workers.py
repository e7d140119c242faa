"""The verbs of a worker's life: register, beat, leave."""

from dataclasses import dataclass
from typing import ClassVar

from app.domain.health import Overdue
from app.domain.workers import Pulse, WorkerNode
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class RegisterWorker:
    """Announce a new life of a worker; its lease starts now."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, node: WorkerNode) -> None:
        tx.workers.register(node)


@dataclass(frozen=True, slots=True)
class Beat:
    """Renew a worker's lease, and hear which of its tasks were cancelled."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, worker_id: str, *, hears_notifications: bool | None = None) -> Pulse:
        """Not alive: the worker was taken for dead, and its tasks are others' now."""
        return tx.workers.beat(worker_id, hears_notifications=hears_notifications)


@dataclass(frozen=True, slots=True)
class RemoveWorker:
    """Leave: whatever still runs under this worker becomes an orphan at once."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, worker_id: str) -> None:
        tx.workers.remove(worker_id)


@dataclass(frozen=True, slots=True)
class AnythingOverdue:
    """Ask whether anything waits for somebody to look after the queue."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction) -> Overdue:
        return tx.health.overdue()
