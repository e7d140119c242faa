"""Progress: reported from a coroutine or a thread, stored, told, and refused once the lease is lost."""

import asyncio
import threading
import time
from typing import Any

import pytest

from app import InvalidInput, TaskContext, TaskProgressed, TaskStatus
from tests.faults.waiting import soon
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
    began, ended, reported = threading.Event(), threading.Event(), threading.Event()

    async def keeps_the_loop_busy(payload: Any, context: TaskContext) -> None:
        began.set()
        reported.wait(10)
        time.sleep(0.05)

    def ends(payload: Any, context: TaskContext) -> None:
        began.wait(10)
        ended.set()

    def reports_and_ends(payload: Any, context: TaskContext) -> None:
        ended.wait(10)
        time.sleep(0.05)  # until the other thread is out of its handler
        context.progress(40, "nearly")
        reported.set()

    for handler in (ends, reports_and_ends, keeps_the_loop_busy):
        rig.define(handler.__name__, handler)
    rig.enqueue("ends")
    rig.enqueue("keeps_the_loop_busy")
    found = await rig.drained(rig.enqueue("reports_and_ends"))

    assert (TaskStatus.COMPLETED, 40, "nearly") == (found.status, found.progress, found.progress_message)


async def test_a_flood_of_reports_leaves_the_last_one(rig: Rig) -> None:
    """Only the latest of each flush is stored."""

    def floods(payload: Any, context: TaskContext) -> None:
        for number in range(10_000):
            context.progress(number / 100, f"row {number}")

    found = await rig.ran(floods)

    assert (TaskStatus.COMPLETED, 99.99, "row 9999") == (found.status, found.progress, found.progress_message)


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
