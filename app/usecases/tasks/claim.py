"""Claim: what a worker takes, and what it already holds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from app.domain.identifiers import TaskId, checked_task_id
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.errors import NewerVersion, UnknownType
from app.domain.tasks.errors import IllegalTransition, TaskExpired, TaskHeld, TaskNotFound
from app.domain.tasks.events import TaskStarted
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.repository import Claimed, ClaimRequest
from app.domain.tasks.status import TaskStatus, Transition
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import TaskNotUnique
from app.domain.workers import WorkerNode
from app.usecases.tasks.enqueue import EnqueueTask
from app.usecases.transaction import Transaction

_TRIES = 3
"""How often a task is claimed that somebody takes and puts back each time we look."""


@dataclass(frozen=True, slots=True)
class ClaimTasks:
    """Take as many due tasks as there are free slots."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, request: ClaimRequest) -> Claimed:
        claimed = tx.tasks.claim(request)
        _record_started(tx, claimed.tasks)
        return claimed


@dataclass(frozen=True, slots=True)
class ClaimTask:
    """Take one task by its id, for a worker that comes for this one alone.

    That worker is registered in the same transaction, so that neither is there without the other.
    """

    jobs: JobCatalog

    def __call__(self, tx: Transaction, node: WorkerNode, task_id: TaskId) -> WorkerTask:
        """The running task; that its time has not come does not matter.

        Raises InvalidInput, TaskNotFound, UnknownType for a type that is not in the catalog, NewerVersion for a payload
        that is newer than its job here, TaskHeld when somebody else runs it, TaskExpired when it was not started in
        time, and IllegalTransition in any other state than pending.
        """
        task_id = checked_task_id(task_id)
        tx.workers.register(node)
        for _ in range(_TRIES):
            types = self.jobs.types()
            task = tx.tasks.claim_by_id(task_id, worker_id=node.id, types=types, versions=self.jobs.versions(types))
            if task is not None:
                _record_started(tx, [task])
                return task
            found = tx.statistics.find(task_id)
            if found is None:
                raise TaskNotFound(task_id)
            if found.status is TaskStatus.RUNNING:
                raise TaskHeld(task_id, found.worker_id)
            if found.status not in Transition.CLAIM.sources:
                raise IllegalTransition(task_id, Transition.CLAIM, found.status)
            if found.has_expired(now=tx.now()) and found.expires_at is not None:
                raise TaskExpired(task_id, found.expires_at)
            if found.type not in self.jobs:
                raise UnknownType(found.type, self.jobs.types())
            if (job := self.jobs.get(found.type)) is not None and found.version > job.version:
                raise NewerVersion(found.type, found.version, job.version)
            # Pending, and ours to run: somebody had it, and has put it back since.
        raise TaskHeld(task_id, None)


@dataclass(frozen=True, slots=True)
class EnqueueAndClaim:
    """Put a task on its queue and take it at once, so that nobody ever sees it waiting there, or is woken for it."""

    enqueue_task: EnqueueTask
    claim_task: ClaimTask

    def __call__(self, tx: Transaction, node: WorkerNode, asked: Mapping[str, Any]) -> WorkerTask:
        """The running task; *asked* are the parameters of EnqueueTask, and errors those of both.

        Raises TaskNotUnique where the task that has the unique key was not given what was asked for: it is somebody
        else's, with another payload.
        """
        new = self.enqueue_task.prepared(**asked)
        placed = self.enqueue_task.enqueue_tasks.place(tx, [new])
        [task] = placed.tasks
        if isinstance(task, ExistingTask) and task.id not in {changed.id for changed in placed.changed}:
            raise TaskNotUnique(new.type, placed.keys[0] or "", task)
        return self.claim_task(tx, node, task.id)


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
