"""Interruption: why an attempt is stopped from outside, by which steps, and what becomes of it."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from app.domain.jobs.errors import AttemptCancelled, AttemptTimedOut
from app.domain.jobs.job import Job
from app.domain.jobs.verdict import verdict
from app.domain.tasks.outcomes import Outcome, Released
from app.domain.tasks.task import WorkerTask

CANCEL_GRACE = 1.0
"""Seconds a cancelled coroutine has to end; one that swallows its cancellation is left running, and not waited for."""


_OF_A_CANCEL = (asyncio.CancelledError, AttemptCancelled)


class Interruption(Enum):
    """Why an attempt is stopped from outside."""

    TIMEOUT = auto()
    CANCELLED = auto()
    """Its task was cancelled while it ran."""
    SHUTDOWN = auto()
    LEASE_LOST = auto()

    def outcome_of(
        self, error: BaseException | None, late: AttemptTimedOut | None, task: WorkerTask, job: Job[Any, Any]
    ) -> Outcome:
        """How the attempt of *task* ends that was stopped for this, and ended by *error* or not at all; *late* is its
        timeout."""
        if self is Interruption.TIMEOUT and late is not None:
            late.__cause__ = None if isinstance(error, asyncio.CancelledError) else error
            return verdict(late, task, job)
        if self is Interruption.CANCELLED and error is not None and not isinstance(error, _OF_A_CANCEL):
            # The handler's own end. What is stored of it is decided there, where the mark of the cancel is.
            return verdict(error, task, job)
        # The mark makes this a cancelled task. Of a lost lease too: the fence refuses it, and that is how everybody
        # hears of it.
        return Released()


class Stop:
    """How one handler is stopped: on the event loop it is *running*; None stands for a thread, which nobody can stop.

    Whoever has not ended by the last step is left behind: *leave* is called.
    """

    __slots__ = ("_leave", "_loop", "_running", "_timer")

    def __init__(
        self, running: "asyncio.Task[None] | None", loop: asyncio.AbstractEventLoop, leave: Callable[[], None]
    ) -> None:
        self._running = running
        self._loop = loop
        self._leave = leave
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, grace: float) -> None:
        """Give a handler in a thread or a process *grace* seconds to end by itself; its context tells it to."""
        # Whoever waits for it on the loop hears, and goes on to wait: see Slots.offload and ProcessPool.
        if self._running is not None:
            self._running.cancel()
        self._then(grace, self.insist)

    def insist(self) -> None:
        """Cancel it; it has a second to end."""
        if self._running is None:
            self._leave()
            return
        self._running.cancel()
        self._then(CANCEL_GRACE, self._leave)

    def end(self) -> None:
        """The attempt has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _then(self, seconds: float, step: Callable[[], None]) -> None:
        self.end()
        self._timer = self._loop.call_later(seconds, step)
