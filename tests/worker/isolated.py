"""Jobs for processes of their own, in a module that such a process can import."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app import CancelTask, Constant, FailForGood, Job, JobCatalog, RetryLater, Snooze, SoftTimeout, TaskContext

jobs = JobCatalog()


class Numbers(BaseModel):
    """A payload with a model."""

    upto: int


class Total(BaseModel):
    """A result with a model."""

    total: int
    process: int


class Careful(Exception):
    """One that pickles: its arguments are what it was made of."""


class Awkward(Exception):
    """One that does not: it cannot be made of its message alone."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"{text} ({code})")


@jobs.define("total", isolation="process", payload=Numbers, result=Total)
def total(payload: Numbers, context: TaskContext) -> Total:
    return Total(total=sum(range(payload.upto + 1)), process=os.getpid())


@jobs.define("told", isolation="process")
async def told(payload: Any, context: TaskContext) -> dict[str, Any]:
    context.log.warning("at work on %s", payload)
    for percent in range(101):
        context.progress(percent, f"step {percent}")
    return {"task": str(context.task.id), "worker": context.worker_id, "attempt": context.task.attempts}


@jobs.define("pid", isolation="process")
def pid(payload: Any, context: TaskContext) -> int:
    return os.getpid()


@jobs.define("answers", isolation="process", retry=Constant(60))
def answers(payload: Any, context: TaskContext) -> None:
    raise {
        "later": RetryLater(120, "not now"),
        "good": FailForGood("it is never right"),
        "cancel": CancelTask("nobody wants it"),
        "snooze": Snooze(120),
    }[payload]


@jobs.define("careful", isolation="process", should_retry=lambda error: not isinstance(error, Careful))
def careful(payload: Any, context: TaskContext) -> None:
    raise Careful("took care")


@jobs.define("awkward", isolation="process", retry=Constant(60))
def awkward(payload: Any, context: TaskContext) -> None:
    raise Awkward(7, "does not pickle")


@jobs.define("exits", isolation="process", retry=Constant(60))
def exits(payload: Any, context: TaskContext) -> None:
    sys.exit("enough")


@jobs.define("dies", isolation="process", retry=Constant(60))
def dies(payload: Any, context: TaskContext) -> None:
    if payload == "exit":
        os._exit(3)
    if payload == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.define("saves", isolation="process", retry=Constant(0), max_attempts=2)
def saves(payload: Any, context: TaskContext) -> Any:
    """Dies with what it has saved; the next attempt says what it was left."""
    if context.checkpoint is not None:
        return context.checkpoint
    context.progress(10)
    for step in (1, 2, 3):
        saved = {"step": step}
        context.save_checkpoint(saved)
        saved["step"] = 0  # what was saved is out of reach
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@jobs.define("session", isolation="process", max_attempts=1)
def asks_for_a_session(payload: Any, context: TaskContext) -> Any:
    return context.session


@jobs.define("set", isolation="process")
def a_set(payload: Any, context: TaskContext) -> Any:
    return {1}


@jobs.define("hungry", isolation="process", retry=Constant(60))
def hungry(payload: Any, context: TaskContext) -> int:
    return len(bytearray(payload))


kept: list[bytearray] = []


@jobs.define("keeps", isolation="process")
def keeps(payload: Any, context: TaskContext) -> int:
    kept.append(bytearray(payload))
    return os.getpid()


@jobs.define("sleeps", isolation="process", timeout=60)
def sleeps(payload: dict[str, Any], context: TaskContext) -> int:
    """Writes its process's id, and that of a program it starts, then sleeps until told to stop, or for ever."""
    program = subprocess.Popen(["sleep", "600"])
    _note(payload["file"], f"{os.getpid()} {program.pid}")
    while not (payload.get("polite") and context.is_shutting_down()):
        time.sleep(0.01)
    program.kill()
    program.wait()
    return os.getpid()


@jobs.define("computes", isolation="process")
def computes_in_c(payload: dict[str, Any], context: TaskContext) -> None:
    """Never lets go of the interpreter's lock, as an extension may that computes."""
    _note(payload["file"], f"{os.getpid()}")
    ctypes.PyDLL(None).sleep(600)


@jobs.define("loops", isolation="process", timeout=0.3, max_attempts=1)
def loops(payload: Any, context: TaskContext) -> None:
    while True:
        pass


@jobs.define("naps", isolation="process", timeout=3)
def naps(payload: float, context: TaskContext) -> int:
    time.sleep(payload)
    return os.getpid()


class Doubled(Job[int, int]):
    """The class form, added to a catalog without a name of its own."""

    def execute(self, payload: int, context: TaskContext) -> int:
        return 2 * payload


jobs.add(Doubled("doubled", isolation="process"))


def _note(file: str, text: str) -> None:
    new = Path(f"{file}.new")
    new.write_text(text)
    new.rename(file)


@jobs.define("reports:late", isolation="process")
def reports_late(payload: Any, context: TaskContext) -> None:
    """Leaves a thread behind that goes on reporting."""

    def go_on() -> None:
        while True:
            context.progress(99, "late")
            time.sleep(0.01)

    threading.Thread(target=go_on, daemon=True).start()


@jobs.define("soft:computes", isolation="process", soft_timeout=0.3, timeout=60)
def soft_computes(payload: Any, context: TaskContext) -> Any:
    """Caught in the middle of it, when it is told to."""
    try:
        number = 0
        while True:
            number += 1
    except SoftTimeout as error:
        if payload == "catch":
            return [error.attempt, error.seconds, bool((context.time_left() or 0) > 50)]
        raise


@jobs.define("soft:waits", isolation="process", soft_timeout=0.3, timeout=60)
async def soft_waits(payload: Any, context: TaskContext) -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
    except SoftTimeout as error:
        if payload == "catch":
            await asyncio.sleep(0.01)
            return [error.attempt, error.seconds, bool((context.time_left() or 0) > 50)]
        raise


@jobs.define("soft:holds", isolation="process", soft_timeout=0.3, timeout=60)
async def soft_holds(payload: Any, context: TaskContext) -> Any:
    """On an event loop that it never lets go of."""
    return soft_computes.handler(payload, context)


@jobs.define("soft:reports", isolation="process", soft_timeout=0.3, timeout=60)
def soft_reports(payload: Any, context: TaskContext) -> Any:
    """Has the worker told something large at nearly every moment."""
    saved = "x" * 900_000
    try:
        while True:
            context.save_checkpoint(saved)
    except SoftTimeout:
        return "caught"


@jobs.define("soft:naps", isolation="process", soft_timeout=0.3, timeout=60)
def soft_naps(payload: Any, context: TaskContext) -> Any:
    try:
        time.sleep(60)
    except SoftTimeout:
        return "woken"
    return "slept"


@jobs.define("soft:quick", isolation="process", soft_timeout=0.02, timeout=60)
def soft_quick(payload: Any, context: TaskContext) -> Any:
    """Returns at about its soft timeout; the next one must not be told of it."""
    time.sleep(0.018)
    return payload


@jobs.define("cancel:asks", isolation="process", timeout=60)
def cancel_asks(payload: dict[str, Any], context: TaskContext) -> Any:
    """Writes its process's id, and ends by itself when it is told."""
    _note(payload["file"], f"{os.getpid()}")
    while not context.is_cancelled():
        time.sleep(0.01)
    if payload.get("check"):
        context.check()
    _note(payload["file"], f"{os.getpid()} {int(context.is_shutting_down())}")
    return "put everything in order"


@jobs.define("cancel:asks:async", isolation="process", timeout=60)
async def cancel_asks_on_loop(payload: dict[str, Any], context: TaskContext) -> Any:
    _note(payload["file"], f"{os.getpid()}")
    while not context.is_cancelled():  # noqa: ASYNC110  # the way that handlers have
        await asyncio.sleep(0.01)
    context.check()
