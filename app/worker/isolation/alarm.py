"""Alarm: calls a handler in the main thread of its process, where a signal tells it of its soft timeout."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import SoftTimeout
from app.domain.jobs.job import Handler
from app.worker.soft_timeout import SoftlyTimed

_AGAIN = 0.05
"""Seconds until it rings again where it found somebody else at work than the handler."""

_TELLING = ("app.worker.isolation.", "logging")
"""Modules that tell the worker something, and hold locks meanwhile."""


def call(handler: Handler, payload: Any, context: TaskContext, *, is_asynchronous: bool) -> Any:
    """What *handler* returns. At the soft timeout of *context*, if there is one, SoftTimeout is raised in it."""
    if is_asynchronous:
        coroutine = handler(payload, context)
        return asyncio.run(coroutine if context.soft_timeout is None else _awaited(coroutine, context))
    if context.soft_timeout is None:
        return handler(payload, context)
    here = sys._getframe()
    # Interrupted here itself, the handler has not begun, or has ended, and what it returned is not to be lost.
    alarm = _Alarm(context, lambda frame: frame is not here and _is_called_from(here, frame))
    try:
        return handler(payload, context)
    finally:
        alarm.is_over = True
        alarm.stop()


async def _awaited(coroutine: Coroutine[Any, Any, Any], context: TaskContext) -> Any:
    """On the event loop, where it is thrown at an await; the alarm is for a handler that comes to none."""
    timed = SoftlyTimed(coroutine, context)
    alarm = _Alarm(
        context, lambda frame: not timed.is_told and _is_called_from(_frame_of(coroutine), frame), timed.was_told
    )
    try:
        return await timed
    finally:
        alarm.is_over = True
        alarm.stop()


class _Alarm:
    """Set at once; raises SoftTimeout in the frame that it interrupts, where that *is_handler*, and is off then."""

    def __init__(
        self,
        context: TaskContext,
        is_handler: Callable[[FrameType | None], bool],
        on_raise: Callable[[], None] = lambda: None,
    ) -> None:
        self._is_handler = is_handler
        self._on_raise = on_raise
        self._attempt, self._seconds = context.task.attempts, context.soft_timeout or 0.0
        self.is_over = False
        signal.signal(signal.SIGALRM, self._ring)
        # Not 0, which would set none.
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, self._seconds - context.elapsed()), _AGAIN)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # Not the default, which would end the process, should one still be on its way.
        signal.signal(signal.SIGALRM, lambda *_: None)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self.is_over and self._is_handler(frame):
            self.is_over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._on_raise()
            raise SoftTimeout(self._attempt, self._seconds)


def _is_called_from(handler: FrameType | None, frame: FrameType | None) -> bool:
    """Whether *frame* is that of the *handler* or of what it calls: not the event loop's, nor another task's.

    What the worker is being told is not to be broken off in the middle.
    """
    while frame is not None and frame is not handler:
        if frame.f_globals.get("__name__", "").startswith(_TELLING):
            return False
        frame = frame.f_back
    return frame is not None


def _frame_of(coroutine: Coroutine[Any, Any, Any]) -> FrameType | None:
    """None once it has ended."""
    return getattr(coroutine, "cr_frame", None)
