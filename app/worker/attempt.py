"""Attempt: one try of one task, from calling its handler to naming the outcome."""

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from app.domain.errors import InvalidInput, QueueError
from app.domain.jobs.answers import FailForGood, HandlerAnswer
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.domain.tasks.task import WorkerTask
from app.worker.threads import HandlerThreads

_log = logging.getLogger("app.worker")

CANCEL_GRACE = 1.0
"""Seconds a cancelled coroutine has to end; one that swallows its cancellation is left running, and not waited for."""


class AttemptTimedOut(QueueError, TimeoutError):
    """The attempt took longer than its timeout."""


class Interruption(Enum):
    """Why an attempt is stopped from outside."""

    TIMEOUT = auto()
    SHUTDOWN = auto()
    LEASE_LOST = auto()


class Attempt:
    """Runs the handler and reports the outcome once, to ``on_end``.

    ``on_left`` is called instead of waiting on when the handler outlives its outcome (a thread cannot be stopped, a
    coroutine may refuse to), and ``on_gone`` when such a handler ends after all. All callbacks run on the loop.
    """

    def __init__(
        self,
        task: WorkerTask,
        job: Job,
        context: TaskContext,
        *,
        timeout: float,
        max_result: int,
        threads: HandlerThreads,
        on_end: Callable[["Attempt", Outcome], None],
        on_left: Callable[["Attempt"], None],
        on_gone: Callable[["Attempt"], None],
    ) -> None:
        self.task = task
        self.ended = False
        self.interruption: Interruption | None = None
        self._job = job
        self._context = context
        self._timeout = timeout
        self._max_result = max_result
        self._threads = threads
        self._on_end = on_end
        self._on_left = on_left
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left = False

    def start(self) -> None:
        self._timer = self._loop.call_later(self._timeout, self.interrupt, Interruption.TIMEOUT)
        if is_asynchronous(self._job.handler):
            self._running = self._loop.create_task(self._run_on_loop(), name=f"{self.task.type} {self.task.id}")
        else:
            context = contextvars.copy_context()
            self._threads.submit(lambda: context.run(self._run_in_thread))

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
        self._timer = self._loop.call_later(CANCEL_GRACE, self._leave)

    async def _run_on_loop(self) -> None:
        # BaseException: SystemExit or KeyboardInterrupt of a handler would end the whole loop, and a CancelledError may
        # be the handler's own.
        try:
            outcome = self._completed(await self._job.handler(self.task.payload, self._context))
        except BaseException as error:
            self._end(self._outcome_of(error))
        else:
            self._end(outcome)

    def _run_in_thread(self) -> None:
        try:
            ended: Completed | BaseException = self._completed(self._job.handler(self.task.payload, self._context))
        except BaseException as error:  # as above; in a thread it would only vanish
            ended = error
        try:
            self._loop.call_soon_threadsafe(self._end_of_thread, ended)
        except RuntimeError:
            _log.warning("Task %s ended after its worker did; its outcome is dropped", self.task.id)

    def _end_of_thread(self, ended: Completed | BaseException) -> None:
        self._end(ended if isinstance(ended, Completed) else self._outcome_of(ended))

    def _completed(self, result: Any) -> Completed:
        try:
            return Completed(JsonText.of(result, field="result", limit=self._max_result))
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
        late = AttemptTimedOut(f"no result within {self._timeout:g} s")
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
        self._on_left(self)
        self._end(self._interrupted(None), still_running=True)

    def _end(self, outcome: Outcome, *, still_running: bool = False) -> None:
        if self._left and not still_running:
            _log.info("The handler left behind by task %s (%s) has ended", self.task.id, self.task.type)
            self._on_gone(self)
            return
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._on_end(self, outcome)


def is_asynchronous(handler: Callable[..., Any]) -> bool:
    """Whether *handler* is ``async def``, as a function or as the ``__call__`` of an object."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
