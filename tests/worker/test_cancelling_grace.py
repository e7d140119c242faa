"""The grace of a cancelled handler: how long it has, what ends it sooner, and what becomes of one that does not end."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app import (
    JobCatalog,
    TaskContext,
    TaskQueueContainer,
    TaskStatus,
)
from app.infra.settings import Settings
from app.worker.interruption import CANCEL_GRACE
from tests.faults.waiting import soon
from tests.worker.cancelling import QUIET, Handlers, assert_cancelled, cancelled
from tests.worker.running import Rig


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """On either adapter, with no heartbeat in between."""
    if request.param == "memory":
        return Settings(in_memory=True, **QUIET)
    return Settings(database_url=request.getfixturevalue("database_url"), **QUIET)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads of a test wait for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_a_thread_that_does_not_ask_keeps_its_slot_for_the_grace_and_is_then_left(
    rig: Rig, gate: threading.Event
) -> None:
    """As after a timeout: the task is cancelled without it, and what it returns in the end changes nothing."""
    handlers, after = Handlers(), list[bool]()

    def hangs(payload: Any, context: TaskContext) -> str:
        handlers.began.set()
        gate.wait()
        after.append(context.is_cancelled())
        return "too late"

    rig.define("hangs", hangs)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        await soon(lambda: rig.find(task).cancel_requested_at is not None, what="the mark is there")
        assert (0, 0) == (worker.left_behind, worker.finished)
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert time.monotonic() - began > 1.5  # the grace is 2 s
        assert 1 == worker.left_behind
        gate.set()
        await soon(lambda: worker.left_behind == 0, what="the thread has ended")

    assert_cancelled(found)
    assert [True] == after
    assert TaskStatus.CANCELLED is rig.find(task).status


async def test_a_coroutine_that_swallows_it_is_left_a_second_later(rig: Rig) -> None:
    """Its grace is that of a timeout, not that of a thread."""
    handlers, enough = Handlers(), asyncio.Event()

    async def stubborn(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        while not enough.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await enough.wait()

    rig.define("stubborn", stubborn)
    task = rig.enqueue("stubborn")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert time.monotonic() - began >= CANCEL_GRACE - 0.1
        assert 1 == worker.left_behind
        enough.set()
        await soon(lambda: worker.left_behind == 0, what="the coroutine has ended")

    assert_cancelled(found)


@pytest.mark.parametrize("how", ["timeout", "shutdown", "again"])
async def test_what_comes_during_the_grace_does_not_change_the_end(rig: Rig, gate: threading.Event, how: str) -> None:
    """The hard timeout ends the grace, so does the end of a worker's own; told again, nothing happens."""
    handlers = Handlers()

    def hangs(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        gate.wait()

    rig.define("hangs", hangs, timeout=0.5 if how == "timeout" else 60, max_attempts=1)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        if how == "shutdown":
            worker.stop()
            worker.stop()
        if how == "again":
            assert rig.find(task) is not None
            again = rig.tasks.cancel_task().execute(task.id, reason="another reason")
            assert ("nobody wants it", TaskStatus.RUNNING) == (again.error, again.status)
        found = await rig.until(task, TaskStatus.CANCELLED)
        took = time.monotonic() - began

    assert_cancelled(found)
    assert [] == found.errors
    assert (took > 1.5) == (how == "again")


async def test_being_told_again_does_not_disturb_a_handler_on_its_way_out(rig: Rig) -> None:
    """By notification first, then by each heartbeat: it is cancelled once, and has its second."""
    handlers, tidied, told_again = Handlers(), list[str](), asyncio.Event()

    async def tidies(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        try:
            await asyncio.sleep(60)
        finally:
            handlers.seen.append("cancelled")
            await told_again.wait()
            tidied.append("tidied")

    rig.define("job", tidies)
    task = rig.enqueue("job")
    async with cancelled(rig, handlers, task) as worker:
        await soon(lambda: bool(handlers.seen), what="it is on its way out")
        for _ in range(3):
            rig.tasks.unit_of_work().run(lambda tx: tx.interrupt([task.id]))
            await asyncio.sleep(0.05)
        told_again.set()
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert 0 == worker.left_behind

    assert_cancelled(found)
    assert (["cancelled"], ["tidied"]) == (handlers.seen, tidied)


async def test_a_lease_that_is_lost_during_the_grace_ends_it(settings: Settings, gate: threading.Event) -> None:
    """The attempt is left at once, and whoever ends the task, ends it cancelled: it is not run again."""
    handlers, jobs = Handlers(), JobCatalog()
    tasks = TaskQueueContainer(settings=settings.replaced(worker_lease=1, worker_cancel_grace=600), jobs=jobs)
    rig = Rig(tasks, jobs)

    def hangs(payload: Any, context: TaskContext) -> None:
        handlers.seen.append(context.task.attempts)
        handlers.began.set()
        gate.wait()

    rig.define("hangs", hangs, max_attempts=5)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        before = worker.id
        tasks.unit_of_work().run(lambda tx: tx.workers.remove(before))
        await soon(lambda: worker.id != before, what="the worker comes back under a new id")
        assert 1 == worker.left_behind
        found = await rig.until(task, TaskStatus.CANCELLED, within=30)

    assert_cancelled(found)
    assert [1] == handlers.seen
    gate.set()
    await tasks.aclose()
