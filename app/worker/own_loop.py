"""An event loop for one call: how a blocking verb runs what is asynchronous."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from app.domain.jobs.errors import LoopIsRunning

_log = logging.getLogger("app.worker")

R = TypeVar("R")

_GRACE = 1.0


def in_own_loop(work: Callable[[], Coroutine[Any, Any, R]], *, called: str, instead: str) -> R:
    """What *work* returns. Raises LoopIsRunning when this thread has a running event loop already."""
    check_no_loop_runs(called=called, instead=instead)
    # Not asyncio.run, which would wait for ever for a handler that swallows its cancellation.
    runner = asyncio.Runner()
    try:
        return runner.run(work())
    finally:
        _close(runner)


def check_no_loop_runs(*, called: str, instead: str) -> None:
    """Raises LoopIsRunning where a blocking call would hold up an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise LoopIsRunning(called, instead)


def _close(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    if rest := asyncio.all_tasks(loop):
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.wait(rest, timeout=_GRACE))
    if rest := asyncio.all_tasks(loop):
        _log.warning("%d handler(s) cannot be stopped, and go with their event loop", len(rest))
        loop.close()
        asyncio.set_event_loop(None)
    else:
        runner.close()
