"""Timeouts: a coroutine is ended by its own, a thread is left and counted, and the worker stays bounded and at work."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app import Constant, RetryLater, TaskContext, TaskStatus
from tests.faults.waiting import soon
from tests.worker.running import Rig


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads of a test wait for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def test_a_coroutine_is_ended_at_its_timeout(rig: Rig) -> None:
    """It sees the cancellation, and the attempt has failed of the timeout, not of the cancellation."""
    ended: list[float] = []

    async def hangs(payload: Any, context: TaskContext) -> None:
        began = time.monotonic()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(time.monotonic() - began)

    found = await rig.ran(hangs, timeout=0.2, retry=Constant(60), max_attempts=2)

    assert (TaskStatus.PENDING, 1) == (found.status, found.attempts)
    assert found.errors[0].type.endswith("AttemptTimedOut")
    assert "no result within 0.2 s" == found.errors[0].message
    assert 0.15 <= ended[0] < 2  # the timer began a little before the handler


async def test_a_timed_out_task_is_retried_within_its_budget(rig: Rig) -> None:
    """A timeout is a failed attempt like any other: the job's policies decide, and the last one ends the task."""

    async def hangs(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(60)

    found = await rig.ran(hangs, timeout=0.1, retry=Constant(0), max_attempts=3)

    assert (TaskStatus.FAILED, 3, 3) == (found.status, found.attempts, len(found.errors))


async def test_the_task_s_timeout_beats_the_job_s_and_that_the_settings(rig: Rig) -> None:
    """What a caller says at enqueue goes before everything."""

    async def hangs(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(60)

    rig.define("job", hangs, timeout=60, max_attempts=1)
    found = await rig.drained(rig.enqueue("job", timeout=0.1))

    assert "no result within 0.1 s" in (found.error or "")


async def test_a_coroutine_may_say_how_its_timeout_ends(rig: Rig) -> None:
    """One of the answers, raised while it is being cancelled, goes before the timeout."""

    async def asks_for_more(payload: Any, context: TaskContext) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RetryLater(60, "half done") from None

    found = await rig.ran(asks_for_more, timeout=0.1)

    assert (TaskStatus.PENDING, "RetryLater: half done") == (found.status, found.error)


async def test_a_coroutine_that_swallows_its_cancellation_loses_its_task(rig: Rig) -> None:
    """A second later the attempt has failed without it, and the worker counts it until it ends after all."""
    enough = asyncio.Event()

    async def stubborn(payload: Any, context: TaskContext) -> None:
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue

    rig.define("stubborn", stubborn, timeout=0.1, max_attempts=1)
    rig.define("echo", echo)
    async with rig.working() as worker:
        task = rig.enqueue("stubborn")
        found = await rig.until(task, TaskStatus.FAILED, within=5)
        assert found.errors[0].type.endswith("AttemptTimedOut")
        assert 1 == worker.left_behind
        assert 5 == (await rig.until(rig.enqueue("echo", 5), TaskStatus.COMPLETED)).result

        enough.set()
        await soon(lambda: worker.left_behind == 0, what="the coroutine that was left has ended")
        assert TaskStatus.FAILED is rig.find(task).status


async def test_a_thread_s_task_fails_at_its_timeout_though_the_thread_goes_on(
    rig: Rig, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can stop it: it is reported, sees that it should end, and what it returns in the end changes nothing."""
    seen: list[bool] = []

    def hangs(payload: Any, context: TaskContext) -> str:
        gate.wait()
        seen.append(context.is_shutting_down())
        return "too late"

    rig.define("hangs", hangs, timeout=0.2, max_attempts=1)
    rig.define("echo", echo)
    with caplog.at_level(logging.INFO, logger="app.worker"):
        async with rig.working() as worker:
            task = rig.enqueue("hangs")
            found = await rig.until(task, TaskStatus.FAILED, within=3)
            assert found.errors[0].type.endswith("AttemptTimedOut")
            assert 1 == worker.left_behind
            assert "1 handler(s) of this worker outlived their attempts and still run" in caplog.text
            assert 5 == (await rig.until(rig.enqueue("echo", 5), TaskStatus.COMPLETED)).result

            gate.set()
            await soon(lambda: worker.left_behind == 0, what="the thread that was left has ended")
            assert f"The handler left behind by task {task.id} (hangs) has ended" in caplog.text

    found = rig.find(task)
    assert (TaskStatus.FAILED, None, [True]) == (found.status, found.result, seen)


async def test_hanging_threads_are_bounded_by_twice_the_concurrency(rig: Rig, gate: threading.Event) -> None:
    """Five slots: five threads may hang beside them, each further one takes a slot away, until nothing is taken."""
    started: list[int] = []

    def hangs(payload: Any, context: TaskContext) -> None:
        started.append(payload)
        gate.wait()

    rig.define("hangs", hangs, timeout=0.1, max_attempts=1)
    rig.define("echo", echo)
    async with rig.working() as worker:
        for number in range(15):
            rig.enqueue("hangs", number)
        await soon(lambda: worker.left_behind == 10, what="ten threads hang")
        last = rig.enqueue("echo", 1, priority=10)
        began = time.monotonic()
        await soon(lambda: time.monotonic() - began > 1, what="a second to take more than there is room for")
        assert (10, TaskStatus.PENDING) == (len(started), rig.find(last).status)

        gate.set()
        await rig.until(last, TaskStatus.COMPLETED)
        await soon(lambda: len(started) == 15, what="the others were begun")


async def test_a_worker_that_stops_does_not_wait_for_a_thread_it_left(rig: Rig, gate: threading.Event) -> None:
    """The task was settled long ago; nothing of the stop depends on the thread."""
    rig.define("hangs", lambda payload, context: gate.wait(), timeout=0.1, max_attempts=1)
    task = rig.enqueue("hangs")

    async with rig.working() as worker:
        await rig.until(task, TaskStatus.FAILED)
        began = time.monotonic()

    assert (1, True) == (worker.left_behind, time.monotonic() - began < 2)
