"""Attempt: one try of one task, from calling its handler to naming the outcome."""

import asyncio
import contextvars
import logging
import time
from functools import partial
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import HandlerAnswer
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import AttemptTimedOut
from app.domain.jobs.job import Job
from app.domain.jobs.sessions import OpenSession
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Outcome
from app.domain.tasks.task import WorkerTask
from app.worker.calls import Call
from app.worker.failing import cannot_be_stored, failure_of, is_first_heard_of
from app.worker.host import Host
from app.worker.interruption import Interruption, Stop
from app.worker.sessions import InDoubt, cause_of, roll_back

_log = logging.getLogger("app.worker")

NOTHING = Completed(JsonText.of(None, field="result"))
"""What most handlers return."""
_telling: set["asyncio.Task[None]"] = set()
"""Who tells hooks of a timeout; the loop itself holds them weakly."""


class Attempt:
    """Runs the handler and tells its host the outcome, once."""

    __slots__ = (
        "_call", "_context", "_host", "_job", "_left", "_running", "_stop",
        "began_at", "checkpoint", "ended", "interruption", "task", "timeout",
    )  # fmt: skip

    def __init__(
        self, task: WorkerTask, job: Job[Any, Any], call: Call, host: Host["Attempt"], *, worker_id: str, timeout: float
    ) -> None:
        self.task = task
        self.ended = False
        self.interruption: Interruption | None = None
        self.checkpoint: JsonText | None = None
        self._job = job
        self._call = call
        self._host = host
        self.timeout = timeout
        self.began_at = time.monotonic()
        self._context: Any = TaskContext(
            task,
            worker_id,
            shutting_down=self._should_end,
            report=self._report,
            open_session=call.sessions.open,
            timeout=timeout,
            soft_timeout=job.soft_timeout,
            elapsed=self._elapsed,
        )
        self._running: asyncio.Task[None] | None = None
        self._stop: Stop | None = None
        self._left = False

    def start(self) -> None:
        if self._call.is_asynchronous:
            self._running = self._host.loop.create_task(self._run_on_loop(), name=self.task.type)
        else:
            variables, given = contextvars.copy_context(), self._context
            self._host.submit(lambda: variables.run(self._run_in_thread, given))

    def interrupt(self, why: Interruption) -> None:
        """Stop the handler if it can be stopped. Whatever it is, the attempt has ended a second later.

        Of a cancelled task, a handler in a thread or a process has ``cancel_grace`` seconds before that.
        """
        is_cancel = why is Interruption.CANCELLED
        if self.ended or (is_cancel and self.interruption is not None):
            return
        if self.interruption is None or why is Interruption.LEASE_LOST:
            self.interruption = why
            self._context.late = AttemptTimedOut(self.timeout) if why is Interruption.TIMEOUT else None
            self._context.cancelled = self._context.cancelled or is_cancel
        if self._stop is None:
            self._stop = Stop(self._running, self._host.loop, self._leave)
            if self._running is not None:
                # Cancelled before its first step, a coroutine never gets to say how it ended.
                self._running.add_done_callback(self._never_ran)
        if is_cancel and self._call.has_grace:
            self._stop.ask(self._host.cancel_grace)
        else:
            self._stop.insist()

    async def _run_on_loop(self) -> None:
        # BaseException: SystemExit or KeyboardInterrupt of a handler would end the whole loop, and a CancelledError may
        # be the handler's own.
        context = self._context
        try:
            outcome: Outcome | None = self._completed(await self._call.function(self.task.payload, context))
            if context.opened is not None:
                outcome = await self._end_session(context, context.opened, outcome)
        except BaseException as error:
            try:
                if context.opened is not None:
                    await roll_back(context.opened, lambda work: self._host.offload(work, context))
            finally:
                self._end_by(error)
        else:
            self._end(outcome)

    async def _end_session(self, context: TaskContext, opened: OpenSession, completed: Any) -> Outcome | None:
        if self._is_unwanted():
            raise asyncio.CancelledError
        sessions = self._call.sessions
        try:
            if opened.is_asynchronous:
                return await sessions.aend(opened, self.task, completed)
            outcome: Outcome | None = await self._host.offload(
                partial(sessions.end, opened, self.task, completed), context
            )
            return outcome
        except BaseException as error:
            if (telling := self._telling(context, error)) is not None:
                await telling
            raise

    def _run_in_thread(self, given: TaskContext) -> None:
        ended: Outcome | BaseException | None
        try:
            if self._is_unwanted():  # before the thread got to it: the task may run elsewhere by now
                raise asyncio.CancelledError
            ended = self._completed(self._call.function(self.task.payload, given))
            if given.opened is not None:
                ended = self._end_session_in_thread(given, given.opened, ended)
        except BaseException as error:  # as above; in a thread it would only vanish
            ended = error
            if given.opened is not None:
                given.opened.roll_back()
        try:
            self._host.tell(self._end_of_thread, ended)
        except RuntimeError:
            _log.warning("Task %s ended after its worker did; its outcome is dropped", self.task.id)

    def _end_session_in_thread(self, context: TaskContext, opened: OpenSession, completed: Any) -> Outcome | None:
        if self._is_unwanted():
            raise asyncio.CancelledError
        try:
            return self._call.sessions.end(opened, self.task, completed)
        except BaseException as error:
            self._telling(context, error)
            raise

    def _is_unwanted(self) -> bool:
        """Whether nothing is to be begun any more, and what a handler that has returned wrote is to be rolled back."""
        return self.ended or self.interruption in (Interruption.LEASE_LOST, Interruption.CANCELLED)

    def _telling(self, context: TaskContext, error: BaseException) -> Any:
        """Let the job's hooks hear of *error*, which ended its session; awaited on the loop, where there is any."""
        tell = self._call.on_failure
        failure = None if tell is None else failure_of(cause_of(error), context)
        return None if tell is None or failure is None else tell(self.task.payload, context, failure)

    def _end_of_thread(self, ended: Outcome | BaseException | None) -> None:
        if isinstance(ended, BaseException):
            self._end_by(ended)
        else:
            self._end(ended)

    def _end_by(self, error: BaseException) -> None:
        self._end(self._outcome_of(cause_of(error)), doubted=error if isinstance(error, InDoubt) else None)

    def _completed(self, result: Any) -> Completed:
        try:
            return (
                NOTHING
                if result is None
                else Completed(JsonText.of(result, field="result", limit=self._host.max_result))
            )
        except InvalidInput as error:
            raise cannot_be_stored(result, error) from error

    def _never_ran(self, running: "asyncio.Task[None]") -> None:
        if not self.ended:
            self._end(self._interrupted(None))

    def _outcome_of(self, error: BaseException) -> Outcome:
        if self.interruption is not None and not isinstance(error, HandlerAnswer):
            return self._interrupted(error)
        return verdict(error, self.task, self._job)

    def _interrupted(self, error: BaseException | None) -> Outcome:
        assert self.interruption is not None  # noqa: S101  # or nobody would ask
        # Of one that has ended already nobody wants to know any more.
        late = AttemptTimedOut(self.timeout) if self._context is None else self._context.late
        return self.interruption.outcome_of(error, late, self.task, self._job)

    def _leave(self) -> None:
        """End the attempt although its handler goes on."""
        if self.ended:
            return
        self._left = True
        _log.warning(
            "The handler of task %s (%s) cannot be stopped and runs on; its task goes its own way",
            self.task.id,
            self.task.type,
        )
        self._host.left(self)
        outcome, context = self._interrupted(None), self._context
        context.abandoned = True
        self._tell_of_timeout(context)
        # It may be about to commit what it wrote, and the completion with it.
        may_commit = context.opened is not None and self._call.sessions.transactional
        doubted = InDoubt(asyncio.CancelledError(), None) if may_commit else None
        self._end(outcome, doubted=doubted, still_running=True)

    def _tell_of_timeout(self, context: TaskContext) -> None:
        """Let the job's hooks hear of it, which the handler's own way out would have told."""
        late, tell = context.late, self._call.on_failure
        if late is None or tell is None or not is_first_heard_of(late):
            return
        if self._running is None:
            self._host.submit(partial(tell, self.task.payload, context, late))
        else:
            telling = self._host.loop.create_task(tell(self.task.payload, context, late))
            _telling.add(telling)
            telling.add_done_callback(_telling.discard)

    def _end(self, outcome: Outcome | None, *, doubted: InDoubt | None = None, still_running: bool = False) -> None:
        if self._left and not still_running:
            _log.info("The handler left behind by task %s (%s) has ended", self.task.id, self.task.type)
            self._host.gone(self)
            return
        self.ended = True
        if self._stop is not None:
            self._stop.end()
        # These refer back to us; a circle would have to be found by the garbage collector, thousands of times a second.
        self._context = self._running = self._stop = None
        if doubted is None or outcome is None:
            self._host.ended(self, outcome)
        else:
            self._host.in_doubt(self, outcome, doubted.completed)

    def _should_end(self) -> bool:
        return self.interruption is not None or self._host.is_shutting_down()

    def _elapsed(self) -> float:
        return time.monotonic() - self.began_at

    def _report(self, percent: float | None, message: str | None, checkpoint: JsonText | None = None) -> None:
        if checkpoint is not None:
            self.checkpoint = checkpoint
        self._host.report(self, percent, message, checkpoint)
