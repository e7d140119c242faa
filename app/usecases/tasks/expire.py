"""Expire: end what was not started in time."""

from dataclasses import dataclass

from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.events import TaskCancelled, TaskDeadLettered
from app.usecases.tasks.alert import raise_alerts
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ExpireTasks:
    """End up to ``batch`` tasks whose ``expires_at`` has passed; claims leave them alone already."""

    jobs: JobCatalog
    batch: int = 500

    def __call__(self, tx: Transaction) -> int:
        """Returns how many, to be called again while it is that many."""
        expired = tx.tasks.lock_expired(self.batch)
        if not expired:
            return 0
        deaths = {task.id: self.jobs.death(task.type, DeathReason.EXPIRED) for task in expired}
        for task in expired:
            task.expire(deaths[task.id], now=tx.now())
        tx.tasks.save(expired)
        raise_alerts(tx, ((task, deaths[task.id], task.error or "") for task in expired))
        if tx.is_waited_for():
            tx.announce(task.id for task in expired)
        for task in expired:
            if tx.wants(TaskCancelled):
                tx.record(TaskCancelled(task=task.snapshot(), reason=task.error))
            if task.is_dead_letter and tx.wants(TaskDeadLettered):
                tx.record(TaskDeadLettered(task=task.snapshot(), reason=DeathReason.EXPIRED))
        return len(expired)
