"""Attempt: one try of one task, from calling its handler to naming the outcome."""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol

from app.domain.errors import InvalidInput, QueueError
from app.domain.jobs.answers import FailForGood, HandlerAnswer
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.domain.tasks.task import WorkerTask
from app.worker.calls import Call

_log = logging.getLogger("app.worker")

NOTHING = Completed(JsonText.of(None, field="result"))
"""What most handlers return."""
CANCEL_GRACE = 1.0
"""Seconds a cancelled coroutine has to end; one that swallows its cancellation is left running, and not waited for."""


class AttemptTimedOut(QueueError, TimeoutError):
    """The attempt took longer than its timeout."""


class Interruption(Enum):
    """Why an attempt is stopped from outside."""

    TIMEOUT = auto()
    SHUTDOWN = auto()
    LEASE_LOST = auto()


class Host(Protocol):
    """Who runs attempts: what they need, and whom they tell; on the event loop where nothing else is said."""

    max_result: int
    loop: asyncio.AbstractEventLoop

    def submit(self, work: Callable[[], None]) -> None:
        """Run *work* in a thread."""
        ...

    def tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the loop call *callback*; from any thread. Raises RuntimeError when the loop has ended."""
        ...

    def is_shutting_down(self) -> bool: ...

    def report(self, attempt: "Attempt", percent: float, message: str | None) -> None:
        """The handler says how far it has come; from any thread."""
        ...

    def ended(self, attempt: "Attempt", outcome: Outcome) -> None:
        """The one outcome of *attempt*."""
        ...

    def left(self, attempt: "Attempt") -> None:
        """The handler outlives its outcome: a thread cannot be stopped, a coroutine may refuse to."""
        ...

    def gone(self, attempt: "Attempt") -> None:
        """Such a handler has ended after all."""
        ...


class Attempt:
    """Runs the handler and tells its host the outcome, once."""

    __slots__ = (
        "_call",
        "_context",
        "_host",
        "_job",
        "_left",
        "_running",
        "_timer",
        "ended",
        "interruption",
        "task",
        "timeout",
    )

    def __init__(
        self, task: WorkerTask, job: Job[Any, Any], call: Call, host: Host, *, worker_id: str, timeout: float
    ) -> None:
        self.task = task
        self.ended = False
        self.interruption: Interruption | None = None
        self._job = job
        self._call = call
        self._host = host
        self.timeout = timeout
        self._context: Any = TaskContext(task, worker_id, shutting_down=self._should_end, report=self._report)
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left = False

    def start(self) -> None:
        if self._call.is_asynchronous:
            self._running = self._host.loop.create_task(self._run_on_loop(), name=self.task.type)
        else:
            variables, given = contextvars.copy_context(), self._context
            self._host.submit(lambda: variables.run(self._run_in_thread, given))

    def interrupt(self, why: Interruption) -> None:
        """Stop the handler if it can be stopped. Whatever it is, the attempt has ended a second later."""
        if self.ended:
            return
        if self.interruption is None or why is Interruption.LEASE_LOST:
            self.interruption = why
        if self._running is None:
            self._leave()
            return
        self._running.cancel()
        # Cancelled before its first step, a coroutine never gets to say how it ended.
        self._running.add_done_callback(self._never_ran)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._host.loop.call_later(CANCEL_GRACE, self._leave)

    async def _run_on_loop(self) -> None:
        # BaseException: SystemExit or KeyboardInterrupt of a handler would end the whole loop, and a CancelledError may
        # be the handler's own.
        try:
            outcome = self._completed(await self._call.function(self.task.payload, self._context))
        except BaseException as error:
            self._end(self._outcome_of(error))
        else:
            self._end(outcome)

    def _run_in_thread(self, given: TaskContext) -> None:
        try:
            if self.ended:  # before the thread got to it: the task may run elsewhere by now
                raise asyncio.CancelledError
            ended: Completed | BaseException = self._completed(self._call.function(self.task.payload, given))
        except BaseException as error:  # as above; in a thread it would only vanish
            ended = error
        try:
            self._host.tell(self._end_of_thread, ended)
        except RuntimeError:
            _log.warning("Task %s ended after its worker did; its outcome is dropped", self.task.id)

    def _end_of_thread(self, ended: Completed | BaseException) -> None:
        self._end(ended if isinstance(ended, Completed) else self._outcome_of(ended))

    def _completed(self, result: Any) -> Completed:
        try:
            return (
                NOTHING
                if result is None
                else Completed(JsonText.of(result, field="result", limit=self._host.max_result))
            )
        except InvalidInput as error:
            if inspect.iscoroutine(result):
                result.close()
            # Another attempt would bring the same again, and its effects twice.
            raise FailForGood(f"the handler returned what cannot be stored: {error}") from error

    def _never_ran(self, running: "asyncio.Task[None]") -> None:
        if not self.ended:
            self._end(self._interrupted(None))

    def _outcome_of(self, error: BaseException) -> Outcome:
        if self.interruption is not None and not isinstance(error, HandlerAnswer):
            return self._interrupted(error)
        return verdict(error, self.task, self._job)

    def _interrupted(self, error: BaseException | None) -> Outcome:
        if self.interruption is not Interruption.TIMEOUT:
            # Of a lost lease too: the fence refuses it, and that is how everybody hears of it.
            return Released()
        late = AttemptTimedOut(f"no result within {self.timeout:g} s")
        late.__cause__ = None if isinstance(error, asyncio.CancelledError) else error
        return verdict(late, self.task, self._job)

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
        self._end(self._interrupted(None), still_running=True)

    def _end(self, outcome: Outcome, *, still_running: bool = False) -> None:
        if self._left and not still_running:
            _log.info("The handler left behind by task %s (%s) has ended", self.task.id, self.task.type)
            self._host.gone(self)
            return
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        # These refer back to us; a circle would have to be found by the garbage collector, thousands of times a second.
        self._context = self._running = self._timer = None
        self._host.ended(self, outcome)

    def _should_end(self) -> bool:
        return self.interruption is not None or self._host.is_shutting_down()

    def _report(self, percent: float, message: str | None) -> None:
        self._host.report(self, percent, message)
