"""Progress: reported from a coroutine or a thread, stored, told, and refused once the lease is lost."""

import asyncio
import threading
import time
from typing import Any

import pytest

from app import InvalidInput, RetryLater, TaskContext, TaskProgressed, TaskStatus
from app.worker.worker import Worker
from tests.faults.waiting import eventually, soon
from tests.worker.running import Rig


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_progress_is_stored_while_the_handler_runs(rig: Rig, kind: str) -> None:
    """Others see how far it has come, in percent and words, and receivers are told."""
    going_on = threading.Event()

    def in_a_thread(payload: Any, context: TaskContext) -> None:
        context.progress(40, "two of five")
        going_on.wait()

    async def on_the_loop(payload: Any, context: TaskContext) -> None:
        context.progress(40, "two of five")
        await asyncio.to_thread(going_on.wait)

    told: list[tuple[float, str | None]] = []

    def on_progress(sender: str, event: TaskProgressed) -> None:
        told.append((event.percent, event.message))

    rig.tasks.signals().progressed.connect(on_progress)
    rig.define("job", on_the_loop if kind == "coroutine" else in_a_thread)
    async with rig.working():
        task = rig.enqueue("job")
        try:
            await soon(lambda: rig.find(task).progress == 40, what="progress is stored")
            found = rig.find(task)
        finally:
            going_on.set()
        await rig.until(task, TaskStatus.COMPLETED)

    assert (TaskStatus.RUNNING, "two of five") == (found.status, found.progress_message)
    assert [(40.0, "two of five")] == told
    assert 40 == rig.find(task).progress


async def test_a_report_is_not_overtaken_by_the_end_of_its_attempt(rig: Rig) -> None:
    """A busy loop hears of both in one go, and of the report first."""
    began, ended = threading.Event(), threading.Event()
    workers: list[Worker] = []

    def on_their_way(number: int) -> None:
        """Wait until so many calls from threads lie where the busy loop will find them."""
        calls = workers[0]._slots._mailbox._calls
        eventually(lambda: len(calls) == number, what=f"{number} calls are on their way, not {len(calls)}")

    async def keeps_the_loop_busy(payload: Any, context: TaskContext) -> None:
        began.set()
        on_their_way(3)

    def ends(payload: Any, context: TaskContext) -> None:
        began.wait(10)
        ended.set()

    def reports_and_ends(payload: Any, context: TaskContext) -> None:
        ended.wait(10)
        on_their_way(1)
        context.progress(40, "nearly")

    for handler in (ends, reports_and_ends, keeps_the_loop_busy):
        rig.define(handler.__name__, handler)
    rig.enqueue("ends")
    rig.enqueue("keeps_the_loop_busy")
    task = rig.enqueue("reports_and_ends")
    workers.append(rig.tasks.worker())
    await workers[0].drain()
    found = rig.find(task)

    assert (TaskStatus.COMPLETED, 40, "nearly") == (found.status, found.progress, found.progress_message)


async def test_a_flood_of_reports_leaves_the_last_one(rig: Rig) -> None:
    """The last one is stored with the end, however little time has passed since another was."""

    def floods(payload: Any, context: TaskContext) -> None:
        for number in range(10_000):
            context.progress(number / 100, f"row {number}")

    found = await rig.ran(floods)

    assert (TaskStatus.COMPLETED, 99.99, "row 9999") == (found.status, found.progress, found.progress_message)


async def test_reports_are_stored_once_a_second_at_most(rig: Rig) -> None:
    """The first at once, then the latest of each second, told as it is stored; and the last of all at the end."""
    told: list[tuple[float, float]] = []
    began = 0.0

    async def reports_all_the_time(payload: Any, context: TaskContext) -> None:
        nonlocal began
        began, number = time.monotonic(), 0
        while len(told) < 3:
            number += 1
            context.progress(number / 1000)
            await asyncio.sleep(0.001)
        context.progress(100)

    def on_progress(sender: str, event: TaskProgressed) -> None:
        told.append((time.monotonic(), event.percent))

    rig.tasks.signals().progressed.connect(on_progress)
    found = await rig.ran(reports_all_the_time)

    assert (100, 4) == (found.progress, len(told))
    assert [told[0][1], 100] == [0.001, told[-1][1]]
    assert [True, True] == [told[number][0] - began >= number for number in (1, 2)]
    assert told[2][0] - began < 4


async def test_what_was_reported_last_is_kept_across_retries(rig: Rig) -> None:
    """An attempt that fails, and one that reports nothing, leave how far the task has come."""

    async def fails_after_a_report(payload: Any, context: TaskContext) -> None:
        if context.task.attempts == 1:
            context.progress(60, "six of ten")
            raise RetryLater(0)
        assert (60, "six of ten") == (context.task.progress, context.task.progress_message)

    found = await rig.ran(fails_after_a_report)

    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert (60, "six of ten") == (found.progress, found.progress_message)


@pytest.mark.parametrize("percent", [-1, 100.5, float("nan"), "half", True])
async def test_a_percentage_that_is_none_is_refused_in_the_handler(rig: Rig, percent: Any) -> None:
    """It is the handler's own mistake, raised where it was made."""
    caught: list[str] = []

    async def wrong(payload: Any, context: TaskContext) -> None:
        with pytest.raises(InvalidInput) as refused:
            context.progress(percent)
        caught.append(refused.value.field)

    found = await rig.ran(wrong)

    assert (TaskStatus.COMPLETED, ["percent"]) == (found.status, caught)


async def test_a_message_that_cannot_be_stored_is_cleaned(rig: Rig) -> None:
    """NUL and half a character in a message harm neither the report nor those that go with it."""

    async def reports(payload: Any, context: TaskContext) -> None:
        context.progress(1, "a\0b\ud800" + "x" * 50_000)

    found = await rig.ran(reports)

    assert TaskStatus.COMPLETED is found.status
    assert (found.progress_message or "").startswith("a\N{REPLACEMENT CHARACTER}b\\ud800xxx")
    assert len(found.progress_message or "") < 5_000
