"""Claim: what a worker takes, and what it already holds."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from app.domain.identifiers import TaskId
from app.domain.tasks.events import TaskStarted
from app.domain.tasks.repository import Claimed, ClaimRequest
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ClaimTasks:
    """Take as many due tasks as there are free slots."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, request: ClaimRequest) -> Claimed:
        claimed = tx.tasks.claim(request)
        _record_started(tx, claimed.tasks)
        return claimed


@dataclass(frozen=True, slots=True)
class AdoptLostClaims:
    """Find claims whose answer never reached their worker, so that it may run them after all.

    A commit whose answer was lost leaves tasks running under a worker that is alive and knows nothing of them: no
    recovery would ever take them.
    """

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, worker_id: str, known: Collection[TaskId]) -> list[WorkerTask]:
        """The tasks running under *worker_id* beside the *known* ones."""
        lost = [task for task in tx.tasks.held_by(worker_id) if task.id not in known]
        _record_started(tx, lost)
        return lost


@dataclass(frozen=True, slots=True)
class NextDue:
    """Ask how long a worker may sleep."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, request: ClaimRequest) -> float | None:
        """Seconds until a claim like *request* would find something; None when nothing is waiting."""
        return tx.tasks.next_due_in(request)


@dataclass(frozen=True, slots=True)
class TimeFront:
    """Ask how long claims from the front take to find their tasks."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, request: ClaimRequest) -> float:
        """Seconds, without what the found tasks themselves explain."""
        return tx.tasks.time_front(request)


def _record_started(tx: Transaction, tasks: list[WorkerTask]) -> None:
    if tx.wants(TaskStarted):
        for task in tasks:
            tx.record(TaskStarted(task=task.snapshot()))
