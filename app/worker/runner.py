"""TaskRunner: one stored task, run at once, where it is called and as a worker would."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from app.domain.errors import DatabaseUnavailable
from app.domain.identifiers import TaskId
from app.domain.jobs.answers import FailForGood, HandlerAnswer
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import AttemptTimedOut, ResultExpired, TaskDidNotComplete
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Schemas
from app.domain.tasks.errors import LeaseLost, TaskNotFound
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Completed, Failed, RetryIn
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.workers import WorkerNode
from app.usecases.tasks.claim import ClaimTask, EnqueueAndClaim
from app.usecases.tasks.enqueue import EnqueueTask
from app.usecases.tasks.find import FindTask
from app.usecases.transaction import Transaction
from app.worker.calls import Call, Calls
from app.worker.own_loop import in_own_loop
from app.worker.pauses import bounded
from app.worker.stint import Stint, to_its_end

FLUSH_TIMEOUT = 10.0
"""Seconds to try to store the outcome; what cannot be stored is run again by others."""

Claim = Callable[[Transaction, WorkerNode], WorkerTask]


class TaskRunner:
    """``execute(task_id)`` and ``aexecute(task_id)``; one attempt, whatever comes of it.

    The attempt is a worker's in everything: it has a lease and a heartbeat, the timeout, hooks and middleware of its
    job, it is retried, failed or completed by the same rules, and what becomes of it is stored and told.
    """

    def __init__(
        self,
        stint: Callable[..., Stint],
        jobs: JobCatalog,
        schemas: Schemas,
        enqueue_task: EnqueueTask,
        receivers: Any,
    ) -> None:
        self._stint = stint
        self._jobs = jobs
        self._schemas = schemas
        self._claim = ClaimTask(jobs)
        self._enqueue_and_claim = EnqueueAndClaim(enqueue_task, self._claim)
        self._receivers = receivers

    def execute(self, task_id: TaskId, *, is_stopping: Callable[[], bool] = lambda: False) -> Outcome[Any]:
        """Run the pending task *task_id* now, even when it is scheduled for later.

        *is_stopping* is what ``context.is_shutting_down()`` answers its handler, which may end by itself then.
        What the handler raises is in the outcome, a timeout too, and LeaseLost when others have taken the task away
        meanwhile; ``outcome.task`` is the task as it is stored afterwards. Raises InvalidInput, TaskNotFound,
        UnknownType, TaskHeld when a worker runs it, IllegalTransition in any other state than pending, LoopIsRunning
        on a running event loop, DatabaseUnavailable and SchemaMismatch.
        """
        claim = partial(self._of, task_id)
        called, instead = "run_task().execute()", "run_task().aexecute()"
        return self._block(claim, called=called, instead=instead, is_stopping=is_stopping)

    async def aexecute(self, task_id: TaskId) -> Outcome[Any]:
        """Like execute, on the running event loop. Cancelled, it gives the task back, with no attempt spent."""
        return await self._visit(partial(self._of, task_id), apart=False)

    def execute_new(self, asked: Mapping[str, Any]) -> Outcome[Any]:
        """Enqueue the task that *asked*, parameters of NewTask, describes, and run it; nobody else can take it."""
        return self._block(partial(self._new, asked), called="run()", instead="arun()")

    async def aexecute_new(self, asked: Mapping[str, Any]) -> Outcome[Any]:
        """Like execute_new, on the running event loop."""
        return await self._visit(partial(self._new, asked), apart=False)

    def _of(self, task_id: TaskId, tx: Transaction, node: WorkerNode) -> WorkerTask:
        return self._claim(tx, node, task_id)

    def _new(self, asked: Mapping[str, Any], tx: Transaction, node: WorkerNode) -> WorkerTask:
        return self._enqueue_and_claim(tx, node, asked)

    def _block(
        self, claim: Claim, *, called: str, instead: str, is_stopping: Callable[[], bool] = lambda: False
    ) -> Outcome[Any]:
        async def work() -> Outcome[Any]:
            try:
                return await self._visit(claim, apart=True, is_stopping=is_stopping)
            finally:
                await self._receivers.aclose()

        return in_own_loop(work, called=called, instead=instead)

    async def _visit(
        self, claim: Claim, *, apart: bool, is_stopping: Callable[[], bool] = lambda: False
    ) -> Outcome[Any]:
        visit = _Visit(self._stint, claim, apart=apart, is_stopping=is_stopping)
        return await to_its_end(self._run(visit), hurry=visit.give_up)

    async def _run(self, visit: "_Visit") -> Outcome[Any]:
        claimed = await visit.run()
        settler = visit.stint.settler
        try:
            task = await bounded(visit.stint.unit_of_work.arun(FindTask(), claimed.id))
        except TaskNotFound:  # it is not kept: see Keep
            task = claimed
        error = visit.error
        match settler.last:
            case _ if task.status is TaskStatus.CANCELLED and not isinstance(error, HandlerAnswer):
                # While it ran, whatever its handler made of it.
                error = TaskDidNotComplete(task.id, task.status, task.error)
            case Completed(result) if claimed.id not in settler.not_accepted:
                return Outcome(
                    result=self._typed(claimed, result.decoded()), error=None, task=task, duration=visit.duration
                )
            case _ if task.status is TaskStatus.COMPLETED and claimed.id not in settler.not_accepted:
                # A transactional one: settled in the handler's own transaction.
                return Outcome(result=self._typed(claimed, task.result), error=None, task=task, duration=visit.duration)
            case _ if claimed.id in settler.not_accepted:
                error = LeaseLost(claimed.id, visit.stint.node.id)
            case None if task is claimed:
                error = ResultExpired(claimed.id)
            case Failed(failure) | RetryIn(failure):
                error = _raised(failure, error, visit.duration)
            case _ if error is None:
                error = TaskDidNotComplete(task.id, task.status, task.error)
        return Outcome(result=None, error=error, task=task, duration=visit.duration)

    def _typed(self, task: WorkerTask, result: Any) -> Any:
        job = self._jobs.get(task.type)
        if job is None or job.result is None:
            return result
        return self._schemas.of(job.result).from_json(result, field="result")


def _raised(failure: Failure, error: BaseException | None, timeout: float) -> BaseException:
    """The error that the attempt failed with: the handler's own, unless it failed by what a worker does."""
    if error is not None and Failure.of(error).type == failure.type:
        return error
    made: BaseException
    if failure.type == Failure.of(AttemptTimedOut(0)).type:
        made = AttemptTimedOut(timeout, failure.message)
    else:
        made = FailForGood(failure.message)
    made.__cause__ = None if isinstance(error, asyncio.CancelledError) else error
    return made


class _Visit:
    """A stint for one task."""

    def __init__(
        self, stint: Callable[..., Stint], claim: Claim, *, apart: bool, is_stopping: Callable[[], bool]
    ) -> None:
        self._claim = claim
        self._given_up = False
        self.stint = stint(watched_by=self._watched, is_stopping=lambda: self._given_up or is_stopping(), apart=apart)
        self.error: BaseException | None = None

    @property
    def duration(self) -> float:
        return self.stint.longest

    def give_up(self) -> None:
        self._given_up = True
        self.stint.interrupt()

    async def run(self) -> WorkerTask:
        """The task as it was claimed; it is settled now. Raises DatabaseUnavailable when it may not be."""
        stint = self.stint
        try:
            task = await bounded(stint.unit_of_work.arun(self._claimed, stint.node))
        except DatabaseUnavailable as error:
            if error.outcome_unknown:
                await stint.leave(in_doubt=True)
            raise
        stint.open()
        stored = False
        try:
            if self._given_up:
                stint.give_back(task)
            else:
                stint.start([task])
                await stint.slots.wait_until_empty()
        finally:
            stored = await stint.close(FLUSH_TIMEOUT)
        if not stored:
            reason = f"how task {task.id} ended could not be stored within {FLUSH_TIMEOUT:g} s; it will be run again"
            raise DatabaseUnavailable(reason, outcome_unknown=True)
        return task

    def _claimed(self, tx: Transaction, node: WorkerNode) -> WorkerTask:
        task = self._claim(tx, node)
        self.stint.slots.prepare(task)  # what cannot be run here is neither stored nor taken
        return task

    def _watched(self, calls: Calls) -> Calls:
        return _Watched(calls, self._note)

    def _note(self, error: BaseException) -> None:
        self.error = error


class _Watched(Calls):
    """Calls that tell what they raise."""

    def __init__(self, calls: Calls, note: Callable[[BaseException], None]) -> None:
        self._inner = calls
        self._note = note

    def of(self, job: Job[Any, Any]) -> Call:
        call = self._inner.of(job)
        function = _awaited(call, self._note) if call.is_asynchronous else _called(call, self._note)
        return replace(call, function=function)


def _awaited(call: Call, note: Callable[[BaseException], None]) -> Callable[[Any, TaskContext], Any]:
    async def function(payload: Any, context: TaskContext) -> Any:
        try:
            return await call.function(payload, context)
        except BaseException as error:
            note(error)
            raise

    return function


def _called(call: Call, note: Callable[[BaseException], None]) -> Callable[[Any, TaskContext], Any]:
    def function(payload: Any, context: TaskContext) -> Any:
        try:
            return call.function(payload, context)
        except BaseException as error:
            note(error)
            raise

    return function
