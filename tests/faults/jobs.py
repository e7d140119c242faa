"""The jobs that worker processes of these tests run; each writes into the ledger that it did."""

import asyncio
import os
import signal
import threading
import time
from typing import Any

from app import JobCatalog, RetryLater, TaskContext
from app.domain.retries import Constant
from tests.faults.ledger import Ledger

jobs = JobCatalog()
_again_at_once = Constant(0)
_lock = threading.Lock()
_ledger: Ledger | None = None


def write(context: TaskContext, note: str) -> None:
    """In a thread or on the loop: a millisecond."""
    global _ledger  # noqa: PLW0603  # one connection a process, made in the process that uses it
    with _lock:
        if _ledger is None:
            _ledger = Ledger(os.environ["FAULTS_LEDGER"])
        _ledger.write(context.task.id, note, os.getpid())


@jobs.define("quick")
async def quick(payload: Any, context: TaskContext) -> int:
    write(context, "ran")
    return os.getpid()


@jobs.define("short")
async def short(payload: Any, context: TaskContext) -> None:
    await asyncio.sleep(0.05)
    write(context, "ran")


@jobs.define("slow")
async def slow(payload: Any, context: TaskContext) -> int:
    """Takes ``seconds``, as often as it is told; further attempts (``once``) are quick."""
    write(context, "began")
    try:
        if not (payload.get("once") and context.task.attempts > 1):
            await asyncio.sleep(payload["seconds"])
    except asyncio.CancelledError:
        write(context, "was cancelled")
        raise
    write(context, "ran")
    return os.getpid()


@jobs.define("slow:thread")
def slow_in_thread(payload: Any, context: TaskContext) -> int:
    write(context, "began")
    time.sleep(payload["seconds"])
    write(context, "ran")
    return os.getpid()


@jobs.define("blocking")
async def blocking(payload: Any, context: TaskContext) -> int:
    """Holds the event loop; further attempts (``once``) do not."""
    write(context, "began")
    if not (payload.get("once") and context.task.attempts > 1):
        time.sleep(payload["seconds"])
    write(context, "ran")
    return os.getpid()


@jobs.define("polite")
async def polite(payload: Any, context: TaskContext) -> str:
    write(context, "began")
    while not context.is_shutting_down():  # noqa: ASYNC110  # the way that handlers have
        await asyncio.sleep(0.01)
    return "put everything in order"


@jobs.define("polite:thread")
def polite_in_thread(payload: Any, context: TaskContext) -> str:
    write(context, "began")
    while not context.is_shutting_down():
        time.sleep(0.01)
    return "put everything in order"


@jobs.define("stubborn")
async def stubborn(payload: Any, context: TaskContext) -> None:
    """Swallows every cancellation."""
    write(context, "began")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            write(context, "was cancelled")


@jobs.define("flaky")
async def flaky(payload: Any, context: TaskContext) -> None:
    """Fails once, to be tried again after ``delay`` seconds."""
    write(context, "ran")
    if context.task.attempts == 1:
        raise RetryLater(payload.get("delay", 0))


@jobs.define("deadly", retry=_again_at_once)
async def deadly(payload: Any, context: TaskContext) -> None:
    write(context, "ran")
    os.kill(os.getpid(), signal.SIGKILL)


def _end_with_the_test() -> None:
    """Whoever started this process holds the other end of its standard input."""
    os.read(0, 1)  # not sys.stdin, whose lock the interpreter wants when it ends
    os.kill(os.getpid(), signal.SIGKILL)


if "FAULTS_LEDGER" in os.environ:
    threading.Thread(target=_end_with_the_test, name="ends-with-the-test", daemon=True).start()
