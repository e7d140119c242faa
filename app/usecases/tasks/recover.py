"""Recover: take tasks back from workers that died, so that others run them."""

from dataclasses import dataclass

from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.events import TaskRecovered
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed, RetryIn
from app.domain.tasks.repository import Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.alert import deaths_among, raise_alerts
from app.usecases.tasks.settle import record_cancelled, record_outcome
from app.usecases.transaction import Transaction

WORKER_LOST = "WorkerLost"
POISON_AFTER = 3
"""Workers that one task may cost."""


@dataclass(frozen=True, slots=True)
class RecoverTasks:
    """Bury workers whose lease ran out and take their tasks back.

    A lost worker is a failed attempt: without that, a task that kills its worker would be handed out for ever. With
    attempts left it is due again at once, whatever the job's back-off: the job itself has done nothing wrong yet. A
    task that ``poison_after`` workers died of is poison, and fails whatever attempts it has left.
    """

    jobs: JobCatalog
    batch: int = 500
    poison_after: int = POISON_AFTER

    def __call__(self, tx: Transaction, *, thorough: bool = True) -> int:
        """Recover up to ``batch`` tasks; returns how many, to be called again while it is that many.

        Unless *thorough*, tasks are looked for only when a worker has just been buried: the search reads all of them,
        and nobody else leaves orphans behind but a process that dies between burying and this.
        """
        if not tx.workers.bury_silent() and not thorough:
            return 0
        orphans = tx.tasks.lock_orphans(self.batch)
        if not orphans:
            return 0
        # Asked again now that the rows are locked: a worker that registered and claimed while they were being found
        # was not yet visible to the search.
        registered = {worker.node.id for worker in tx.workers.all()}
        orphans = [task for task in orphans if task.worker_id not in registered]
        outcomes = {task.id: self._outcome(task) for task in orphans}
        settlements = [Settlement(task, outcomes[task.id]) for task in orphans]
        settled = tx.tasks.settle(settlements, taking_back=True)
        raise_alerts(tx, deaths_among(settlements, but=settled.cancelled))
        tx.wake({task.queue for task in orphans})
        if tx.is_waited_for():
            tx.announce(task_id for task_id, outcome in outcomes.items() if isinstance(outcome, Failed))
        for task in orphans:
            if tx.wants(TaskRecovered):
                after = task.snapshot()
                after.take_back(outcomes[task.id], now=settled.at)
                tx.record(TaskRecovered(task=after, worker_id=task.worker_id or ""))
            if task.id not in settled.cancelled:
                record_outcome(tx, task, outcomes[task.id], settled.at)
        record_cancelled(tx, settled.cancelled)
        return len(settled.ids)

    def _outcome(self, task: WorkerTask) -> Failed | RetryIn:
        message = (
            f"worker {task.worker_id} fell silent while running attempt {task.attempts}: killed, frozen or cut off"
        )
        failure = Failure(WORKER_LOST, message)
        lost = 1 + sum(error.type == WORKER_LOST for error in task.errors)
        if lost >= self.poison_after:
            return Failed(failure, self.jobs.death(task.type, DeathReason.POISON))
        if task.is_last_attempt:
            return Failed(failure, self.jobs.death(task.type, DeathReason.EXHAUSTED))
        return RetryIn(failure, 0)
