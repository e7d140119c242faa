"""Failing: which ends of a handler are failed attempts, and what those who ask hear of them."""

import asyncio
import inspect
import logging
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import CancelTask, FailForGood, HandlerAnswer, Snooze
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import AttemptTimedOut

_log = logging.getLogger("app.worker")


def cannot_be_stored(result: Any, error: InvalidInput | None = None) -> FailForGood:
    """The failure of a handler that returned *result*. Another attempt would bring it again, and its effects twice."""
    if inspect.isawaitable(result):
        close(result)
        return FailForGood(
            f"the handler returned a {type(result).__name__}, which nobody awaits:"
            " make it `async def` and await that in it"
        )
    return FailForGood(f"the handler ran, with all its effects, and returned what cannot be stored: {error}")


def close(awaitable: Any) -> None:
    """Let nobody complain of a coroutine that is not awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def failure_of(error: BaseException, context: TaskContext) -> BaseException | None:
    """What hooks hear of an attempt that *error* ends: nothing where it is no failure, or they have heard already."""
    if context.abandoned or context.cancelled or isinstance(error, Snooze | CancelTask | GeneratorExit):
        return None
    if context.late is not None and not isinstance(error, HandlerAnswer):
        return context.late if is_first_heard_of(context.late) else None
    if isinstance(error, asyncio.CancelledError) and context.is_shutting_down():
        return None
    return error


def is_first_heard_of(late: AttemptTimedOut) -> bool:
    """Whether hooks are still to be told; asked once, because both ways out of an attempt may get here."""
    first, late.heard = not late.heard, True
    return first


def is_being_cancelled() -> bool:
    """Whether a CancelledError is of somebody who cancels us, and not one that a handler or an item raised itself."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def note(error: BaseException, broken: BaseException) -> None:
    """Say on *error* that a hook which was told of it is *broken*."""
    error.add_note(f"an on_error hook failed, too: {type(broken).__name__}: {broken}")
    _log.error("An on_error hook failed", exc_info=broken)
