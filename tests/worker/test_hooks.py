"""Hooks of failures: what they are told of, and handlers in threads among hooks that are awaited."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from app import (
    AttemptTimedOut,
    CancelTask,
    FailForGood,
    JobCatalog,
    RetryLater,
    Snooze,
    TaskContext,
    TaskStatus,
)
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig
from tests.worker.story import Story, ran

BOTH = pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])


@pytest.fixture
def settings() -> Settings:
    """Short times, in memory: nothing here is about the database."""
    return Settings(in_memory=True, **QUICK)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads of a test wait for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def story() -> Story:
    return Story()


class Payload(BaseModel):
    number: int


@BOTH
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Snooze(60), []),
        (CancelTask("not wanted"), []),
        (RetryLater(60), ["catalog: RetryLater"]),
        (FailForGood("enough"), ["catalog: FailForGood"]),
        (SystemExit(1), ["catalog: SystemExit"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_hooks_are_told_of_failures_and_of_nothing_else(
    settings: Settings, story: Story, asynchronous: bool, answer: BaseException, told: list[str]
) -> None:
    """Who snoozes or cancels a task has not failed."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job")(story.handler(asynchronous=asynchronous, raises=answer))

    await ran(settings, jobs)

    assert ["handler", *told] == story.lines


async def test_a_plain_handler_with_an_asynchronous_hook_runs_in_a_thread(rig: Rig) -> None:
    """It may block; the loop goes on meanwhile."""
    loop_thread, seen = threading.get_ident(), list[int]()
    met = threading.Barrier(2)

    async def hook(payload: Any, context: TaskContext) -> None:
        seen.append(threading.get_ident())

    def handler(payload: Any, context: TaskContext) -> None:
        seen.append(threading.get_ident())
        met.wait(10)

    rig.define("job", handler, before=[hook])
    tasks = [rig.enqueue("job") for _ in range(2)]
    await rig.tasks.worker().drain()

    assert [TaskStatus.COMPLETED] * 2 == [rig.find(task).status for task in tasks]
    assert 2 == seen.count(loop_thread)
    assert 2 == len(set(seen) - {loop_thread})


async def test_a_plain_handler_among_asynchronous_hooks_that_hangs_is_left_behind_and_counted(
    rig: Rig, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """As any thread that cannot be stopped: reported by its task, counted until it ends, and nothing follows it."""
    story = Story()

    async def hook(*arguments: Any) -> None:
        story.lines.append("hook")

    def hangs(payload: Any, context: TaskContext) -> str:
        gate.wait()
        return "too late"

    rig.define("hangs", hangs, timeout=0.2, before=[hook], after=[hook], on_error=[story.on_error("job")])
    with caplog.at_level(logging.INFO, logger="app.worker"):
        async with rig.working() as worker:
            task = rig.enqueue("hangs", max_attempts=1)
            found = await rig.until(task, TaskStatus.FAILED)
            assert found.errors[0].type.endswith("AttemptTimedOut")
            assert 1 == worker.left_behind
            assert f"The handler of task {task.id} (hangs) cannot be stopped" in caplog.text

            gate.set()
            await soon(lambda: worker.left_behind == 0, what="the thread that was left has ended")
            assert f"The handler left behind by task {task.id} (hangs) has ended" in caplog.text

    assert (TaskStatus.FAILED, None) == (rig.find(task).status, rig.find(task).result)
    assert ["hook", "job: AttemptTimedOut"] == story.lines


async def test_hanging_threads_among_asynchronous_hooks_are_bounded(rig: Rig, gate: threading.Event) -> None:
    """Five slots: five may hang beside them, each further one takes a slot away, until nothing is taken."""
    started: list[int] = []

    async def hook(*arguments: Any) -> None: ...

    def hangs(payload: Any, context: TaskContext) -> None:
        started.append(payload)
        gate.wait()

    rig.define("hangs", hangs, timeout=0.1, before=[hook])
    async with rig.working() as worker:
        for number in range(15):
            rig.enqueue("hangs", number, max_attempts=1)
        await soon(lambda: worker.left_behind == 10, what="ten threads hang")
        last = rig.enqueue("hangs", 15, max_attempts=1)
        assert (10, TaskStatus.PENDING) == (len(started), rig.find(last).status)

        gate.set()
        await rig.until(last, TaskStatus.COMPLETED)
        await soon(lambda: len(started) == 16, what="the others were begun")


@pytest.mark.parametrize("kind", ["coroutine", "stubborn", "thread"])
async def test_hooks_are_told_of_a_timeout_as_one(rig: Rig, gate: threading.Event, kind: str) -> None:
    """Not of the cancellation by which it comes, nor twice; of a handler that does not come back, too."""
    told: list[tuple[Any, str]] = []

    def on_error(payload: Any, context: TaskContext, error: BaseException) -> None:
        told.append((payload, repr(error)))

    async def hangs(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(60)

    async def stubborn(payload: Any, context: TaskContext) -> None:
        while not gate.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    def in_thread(payload: Any, context: TaskContext) -> None:
        gate.wait()
        raise ZeroDivisionError("too late")

    handlers: dict[str, Any] = {"coroutine": hangs, "stubborn": stubborn, "thread": in_thread}
    rig.define("job", handlers[kind], timeout=0.2, on_error=[on_error], payload=Payload)
    async with rig.working() as worker:
        await rig.until(rig.enqueue("job", {"number": 7}, max_attempts=1), TaskStatus.FAILED)
        await soon(lambda: told, what="the hook is told")
        gate.set()
        await soon(lambda: worker.left_behind == 0, what="the handler has ended")

    assert [(Payload(number=7), repr(AttemptTimedOut(0.2)))] == told


async def test_hooks_are_not_told_of_a_shutdown(rig: Rig) -> None:
    """The task is given back, and nothing has failed."""
    story, began = Story(), asyncio.Event()

    async def hangs(payload: Any, context: TaskContext) -> None:
        began.set()
        await asyncio.sleep(60)

    rig.define("job", hangs, on_error=[story.on_error("job")])
    task = rig.enqueue("job")
    async with rig.working() as worker:
        await began.wait()
        worker.stop()
        worker.stop()

    assert (TaskStatus.PENDING, 0, []) == (rig.find(task).status, rig.find(task).attempts, story.lines)


async def test_a_cancellation_of_the_handler_s_own_is_a_failure_that_hooks_hear_of(
    settings: Settings, story: Story
) -> None:
    """Nobody has asked for it from outside."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job")(story.handler(asynchronous=True, raises=asyncio.CancelledError()))

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, ["handler", "catalog: CancelledError"]) == (found.status, story.lines)
