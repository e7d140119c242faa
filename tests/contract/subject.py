"""The queue under test: a unit of work of either adapter, with its verbs within reach."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.domain.clock import Clock
from app.domain.health import WaitingType
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.json import JsonText
from app.domain.tasks.events import TaskEvent
from app.domain.tasks.new import NewTask
from app.domain.tasks.outcomes import Completed, Failed, Outcome, RetryIn
from app.domain.tasks.repository import ClaimRequest, Progress, Settled, Settlement
from app.domain.tasks.statistics import GroupStats, TaskStats
from app.domain.tasks.task import WorkerTask
from app.domain.workers import LiveWorker, Pulse, WorkerNode
from app.infra.memory.store import MemoryStore
from app.infra.memory.unit_of_work import MemoryUnitOfWork
from app.infra.schemas import PydanticSchemas
from app.usecases.check import CheckQueue, QueueReport
from app.usecases.tasks.cancel import CancelTask
from app.usecases.tasks.claim import AdoptLostClaims, ClaimTasks, NextDue
from app.usecases.tasks.cleanup import CleanupTasks
from app.usecases.tasks.enqueue import EnqueueTasks
from app.usecases.tasks.expire import ExpireTasks
from app.usecases.tasks.find import FindTask, ListTasks
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.tasks.retry import RetryTask
from app.usecases.tasks.settle import ReportedProgress, ReportProgress, SettleTasks
from app.usecases.tasks.stats import GetTaskBreakdown, GetTaskStats
from app.usecases.transaction import Transaction, UnitOfWork
from app.usecases.uniques import ClearUniques
from app.usecases.upkeep import DropDays, FoldTallies, MakeDays
from app.usecases.workers import Beat, RegisterWorker, RemoveWorker
from tests.examples import EMAIL, REPORT, ManualClock, Recorder, a_failure, a_node, new_ids, new_task


@dataclass(slots=True)
class Queue:
    """Every helper is one transaction of its own."""

    uow: UnitOfWork
    clock: ManualClock
    publisher: Recorder
    jobs: JobCatalog = field(default_factory=JobCatalog)

    @property
    def events(self) -> list[TaskEvent]:
        return self.publisher.events

    @property
    def told(self) -> list[str]:
        """The signals of what was published, in order."""
        return [event.signal for event in self.events]

    @property
    def public(self) -> tuple[int, list[str]]:
        """What everybody sees of it: how many tasks there are, and what was told."""
        return self.stats().total, self.told

    @property
    def enqueueing(self) -> EnqueueTasks:
        return EnqueueTasks(self.jobs, new_ids, max_attempts=3, max_payload=1_048_576, schemas=PydanticSchemas())

    # --- what applications call

    def enqueue(self, type: str = EMAIL, **asked: Any) -> WorkerTask:
        return self.enqueue_many([new_task(type, **asked)])[0]

    def enqueue_many(self, new: Iterable[NewTask]) -> list[WorkerTask]:
        return self.uow.run(self.enqueueing, new)

    def find(self, task: WorkerTask) -> WorkerTask:
        return self.uow.run(FindTask(), task.id)

    def newest(self, **asked: Any) -> list[WorkerTask]:
        return self.uow.run(ListTasks(), **asked)

    def cancel(self, task: WorkerTask, *, reason: str | None = None) -> WorkerTask:
        return self.uow.run(CancelTask(), task.id, reason=reason)

    def expire(self) -> int:
        return self.uow.run(ExpireTasks(self.jobs))

    def retry(self, task: WorkerTask, *, reset_attempts: bool = False) -> WorkerTask:
        return self.uow.run(RetryTask(), task.id, reset_attempts=reset_attempts)

    def stats(self) -> TaskStats:
        return self.uow.run(GetTaskStats())

    def breakdown(self, by: str = "type") -> list[GroupStats]:
        return self.uow.run(GetTaskBreakdown(), by=by)

    def cleanup(self, older_than: timedelta | float) -> int:
        return self.uow.run(CleanupTasks(), older_than=older_than)

    def waiting_types(self) -> Sequence[WaitingType]:
        def ask(tx: Transaction) -> Sequence[WaitingType]:
            return tx.health.waiting_types()

        return self.uow.run(ask)

    def check(self, clock: Clock | None = None) -> QueueReport:
        """What check finds; *clock* is this machine's, and unless said the same as the database's."""
        return self.uow.run(CheckQueue(self.jobs, clock or self.clock))

    # --- what workers call

    def register(self, worker_id: str = "w1", **changes: Any) -> WorkerNode:
        node = a_node(worker_id, **changes)
        self.uow.run(RegisterWorker(), node)
        return node

    def beat(self, worker_id: str = "w1", *, hears_notifications: bool | None = None) -> bool:
        """Whether the worker goes on."""
        return self.pulse(worker_id, hears_notifications=hears_notifications).is_alive

    def pulse(self, worker_id: str = "w1", *, hears_notifications: bool | None = None) -> Pulse:
        return self.uow.run(Beat(), worker_id, hears_notifications=hears_notifications)

    def leave(self, worker_id: str = "w1") -> None:
        self.uow.run(RemoveWorker(), worker_id)

    def workers(self) -> Sequence[LiveWorker]:
        return self.uow.run(lambda tx: tx.workers.all())

    def claim(self, worker_id: str = "w1", **asked: Any) -> list[WorkerTask]:
        return self.uow.run(ClaimTasks(), request(worker_id, **asked)).tasks

    def claim_one(self, worker_id: str = "w1") -> WorkerTask:
        [task] = self.claim(worker_id)
        return task

    def next_due_in(self, worker_id: str = "w1", **asked: Any) -> float | None:
        return self.uow.run(NextDue(), request(worker_id, **asked))

    def adopt(self, worker_id: str = "w1", known: Iterable[TaskId] = ()) -> list[WorkerTask]:
        return self.uow.run(AdoptLostClaims(), worker_id, set(known))

    def settle(self, task: WorkerTask, outcome: Outcome, *, again: bool = False) -> bool:
        """Whether the outcome of *task*, given as it was claimed, was accepted."""
        return self.uow.run(SettleTasks(), [Settlement(task, outcome)], again=again) == frozenset()

    def complete(self, task: WorkerTask, result: Any = None) -> bool:
        return self.settle(task, completed(result))

    def fail(self, task: WorkerTask) -> bool:
        return self.settle(task, Failed(a_failure()))

    def fail_and_retry(self, task: WorkerTask, delay: float = 0) -> bool:
        return self.settle(task, RetryIn(a_failure(), delay))

    def settled_before(self, task: WorkerTask) -> bool:
        def ask(tx: Transaction) -> Settled:
            return tx.tasks.settled_before([Settlement(task, completed())])

        return self.uow.run(ask).ids == {task.id}

    def report(self, task: WorkerTask, percent: float, message: str | None = None) -> None:
        self.uow.run(ReportProgress(), [ReportedProgress(task, percent, message)])

    def save(self, task: WorkerTask, checkpoint: Any) -> None:
        saved = JsonText.of(checkpoint, field="checkpoint")
        self.uow.run(ReportProgress(), [ReportedProgress(task, None, None, saved)])

    def progress(self, reports: Sequence[Progress]) -> frozenset[TaskId]:
        def write(tx: Transaction) -> frozenset[TaskId]:
            return tx.tasks.progress(reports)

        return self.uow.run(write)

    def recover(self, batch: int = 500) -> int:
        return self.uow.run(RecoverTasks(self.jobs, batch))

    def keep_up(self) -> None:
        """A round of upkeep, as workers do it."""
        for verb in (MakeDays(), FoldTallies(), ClearUniques(), DropDays()):
            self.uow.run(verb)

    # --- longer stories

    def lose(self, worker_id: str = "w1") -> None:
        """Let *worker_id* fall silent past its lease, the others beating, and take its tasks back."""
        self.clock.advance(61)
        for worker in self.workers():
            if worker.node.id != worker_id:
                self.beat(worker.node.id)
        self.recover()


def request(worker_id: str = "w1", **asked: Any) -> ClaimRequest:
    """A claim of one e-mail or report, from any queue."""
    return ClaimRequest(**{"worker_id": worker_id, "types": (EMAIL, REPORT)} | asked)


def completed(result: Any = None) -> Completed:
    return Completed(JsonText.of(result, field="result"))


def in_memory(store: MemoryStore | None = None) -> Queue:
    """A queue in memory with nothing in it, at noon, and nobody at work."""
    clock, publisher = ManualClock(), Recorder()
    return Queue(MemoryUnitOfWork(store or MemoryStore(), publisher, clock), clock, publisher)
