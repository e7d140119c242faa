"""Dead letters in the tests of the contract: how they come about, and the verbs on them."""

from collections.abc import Sequence
from typing import Any

from app.domain.dead_letters.actions import WORK, LetterAction, LetterBulk
from app.domain.dead_letters.summary import LetterSummary
from app.domain.identifiers import TaskId
from app.domain.jobs.context import TaskContext
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import ClaimRequest, Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.dead_letters.bulk import AT_ONCE, ActOnLetters
from app.usecases.dead_letters.discard import (
    DiscardDeadLetter,
    DiscardDeadLetters,
    PurgeDeadLetters,
    PurgeSomeLetters,
)
from app.usecases.dead_letters.export import ExportDeadLetters
from app.usecases.dead_letters.list import CountDeadLetters, ListDeadLetterActions, ListDeadLetters
from app.usecases.dead_letters.requeue import RequeueDeadLetter, RequeueDeadLetters
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.settle import SettleTasks
from app.worker.dead_letters import LetterWork
from tests.contract.subject import Queue
from tests.examples import EMAIL, new_ids, new_task

SUCH = "SMTPException: no such mailbox"


class Letters:
    """The verbs on the dead letters of *queue*; bulk goes to a task from more than *at_once* on."""

    def __init__(self, queue: Queue, *, at_once: int = AT_ONCE) -> None:
        self.queue = queue
        self.act = ActOnLetters(queue.enqueueing, new_ids, at_once)
        queue.register("mortuary", types=(EMAIL,))

    # --- how they come about

    def die(
        self, type: str = EMAIL, *, reason: DeathReason = DeathReason.EXHAUSTED, message: str = "no", **asked: Any
    ) -> WorkerTask:
        """A dead letter of *type*, as it was claimed before it died."""
        [letter] = self.die_many(1, type, reason=reason, message=message, **asked)
        return letter

    def die_many(
        self,
        number: int,
        type: str = EMAIL,
        *,
        reason: DeathReason = DeathReason.EXHAUSTED,
        message: str = "no",
        filed_under: str | None = None,
        **asked: Any,
    ) -> list[WorkerTask]:
        self.queue.enqueue_many([new_task(type, **asked) for _ in range(number)])
        return self.kill(number, type, reason=reason, message=message, filed_under=filed_under)

    def kill(
        self,
        number: int,
        type: str = EMAIL,
        *,
        reason: DeathReason = DeathReason.EXHAUSTED,
        message: str = "no",
        filed_under: str | None = None,
    ) -> list[WorkerTask]:
        """Let so many due tasks of *type* die."""
        request = ClaimRequest(worker_id="mortuary", types=(type,), limit=number)
        claimed = self.queue.uow.run(ClaimTasks(), request).tasks
        assert number == len(claimed)
        outcome = Failed(Failure("builtins.ValueError", message), Death(reason, queue=filed_under))
        self.queue.uow.run(SettleTasks(), [Settlement(task, outcome) for task in claimed])
        return claimed

    def die_again(self, task: WorkerTask, *, times: int) -> None:
        """Requeue *task*, a letter, and let it die, so often."""
        for _ in range(times):
            self.requeue(task)
            self.queue.clock.advance(1)
            self.kill(1, task.type)

    # --- the verbs

    def ids(self, **asked: Any) -> list[TaskId]:
        return [letter.id for letter in self.queue.uow.run(ListDeadLetters(), **asked)]

    def page(self, **asked: Any) -> Sequence[WorkerTask]:
        return self.queue.uow.run(ListDeadLetters(), **asked)

    def count(self, **which: Any) -> LetterSummary:
        return self.queue.uow.run(CountDeadLetters(), **which)

    def requeue(self, task: WorkerTask, **asked: Any) -> WorkerTask:
        return self.queue.uow.run(RequeueDeadLetter(new_ids), task.id, **asked)

    def requeue_all(self, **asked: Any) -> LetterBulk:
        return self.queue.uow.run(RequeueDeadLetters(self.act), **asked)

    def discard(self, task: WorkerTask, **asked: Any) -> WorkerTask:
        return self.queue.uow.run(DiscardDeadLetter(new_ids), task.id, **asked)

    def discard_all(self, **asked: Any) -> LetterBulk:
        return self.queue.uow.run(DiscardDeadLetters(self.act), **asked)

    def purge(self, **asked: Any) -> LetterBulk:
        return self.queue.uow.run(PurgeDeadLetters(self.act), **asked)

    def purge_some(self, seconds: float, *, batch: int = 2_000) -> int:
        return self.queue.uow.run(PurgeSomeLetters(seconds, batch))[0]

    def export(self, **asked: Any) -> list[dict[str, Any]]:
        return list(ExportDeadLetters(self.queue.uow, new_ids).execute(**asked))

    def actions(self) -> list[LetterAction]:
        return self.queue.uow.run(ListDeadLetterActions())

    # --- the task that works through many

    def work(self, *, chunk: int = 500, context: TaskContext | None = None, **given: Any) -> dict[str, int]:
        """Claim the task of a bulk action and run its handler, which need not wait for anything."""
        task = self.claim_work()
        work = LetterWork(lambda: self.queue.uow, chunk=chunk, **{"sleep": self.queue.clock.advance} | given)
        return work.run(task.payload, context or TaskContext(task, "w-letters"))

    def claim_work(self) -> WorkerTask:
        self.queue.register("w-letters", types=(WORK,))
        [task] = self.queue.uow.run(ClaimTasks(), ClaimRequest(worker_id="w-letters", types=(WORK,))).tasks
        return task
