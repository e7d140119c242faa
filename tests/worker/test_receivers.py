"""Receivers of events: told after the commit, in worker and script, and none of them can disturb the rest."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from app import Constant, TaskCompleted, TaskContext, TaskEvent, TaskFailed, TaskStatus
from tests.faults.waiting import eventually
from tests.worker.running import Rig


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


def raising(sender: str, event: TaskEvent) -> None:
    raise RuntimeError("a receiver's own trouble")


async def raising_later(sender: str, event: TaskEvent) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("an asynchronous receiver's own trouble")


async def test_receivers_that_raise_disturb_nobody(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Task, worker and the receivers before and after them go on as if nothing had happened; the log has it all."""
    told: list[str] = []

    def before(sender: str, event: TaskEvent) -> None:
        told.append(f"before {event.signal}")

    def after(sender: str, event: TaskEvent) -> None:
        told.append(f"after {event.signal}")

    signals = rig.tasks.signals()
    for signal in (signals.created, signals.started, signals.completed):
        for receiver in (before, raising, raising_later, after):
            signal.connect(receiver)
    rig.define("echo", echo)
    tasks = [rig.enqueue("echo", number) for number in range(3)]

    assert 3 == await rig.tasks.worker().drain()

    assert [0, 1, 2] == [rig.find(task).result for task in tasks]
    expected = [f"{when} {what}" for what in ("created", "started", "completed") for when in ("after", "before")]
    assert sorted(expected * 3) == sorted(told)
    assert 9 == caplog.text.count("RuntimeError: a receiver's own trouble")
    assert 9 == caplog.text.count("RuntimeError: an asynchronous receiver's own trouble")


async def test_an_asynchronous_receiver_runs_on_the_worker_s_loop(rig: Rig) -> None:
    """And the worker's end waits for it."""
    told: list[tuple[Any, bool]] = []
    loop = asyncio.get_running_loop()

    async def on_completed(sender: str, event: TaskCompleted) -> None:
        await asyncio.sleep(0.1)
        told.append((event.result, asyncio.get_running_loop() is loop))

    rig.tasks.signals().completed.connect(on_completed)
    rig.define("echo", echo)
    rig.enqueue("echo", 7)
    await rig.tasks.worker().drain()

    assert [(7, True)] == told


def test_an_asynchronous_receiver_works_in_a_script_without_a_loop(database_url: str) -> None:
    """It runs on a loop kept for that purpose, and `close` waits for it."""
    from app import JobCatalog, TaskQueueContainer
    from app.infra.settings import Settings

    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=JobCatalog())
    told: list[str] = []

    async def on_created(sender: str, event: TaskEvent) -> None:
        await asyncio.sleep(0.1)
        told.append(f"{sender} in {threading.current_thread().name}")

    tasks.signals().created.connect(on_created)
    tasks.enqueue_task().execute(type="email:send", payload={})
    tasks.enqueue_task().execute(type="email:send", payload={})
    tasks.close()

    eventually(lambda: len(told) == 2, what="both were told")
    assert ["email:send in app-events"] * 2 == told


async def test_a_slow_receiver_does_not_hold_up_the_work(rig: Rig) -> None:
    """Asynchronous ones are handed over and not waited for."""
    holding = asyncio.Event()

    async def on_started(sender: str, event: TaskEvent) -> None:
        await holding.wait()

    rig.tasks.signals().started.connect(on_started)
    rig.define("echo", echo)
    async with rig.working():
        for number in range(20):
            await rig.until(rig.enqueue("echo", number), TaskStatus.COMPLETED, within=5)
        holding.set()


async def test_failed_says_whether_another_attempt_follows(rig: Rig) -> None:
    """Once for each failed attempt; `retried` for those that are put back."""
    told: list[tuple[str, bool | None]] = []

    def on_failed(sender: str, event: TaskFailed) -> None:
        told.append(("failed", event.will_retry))

    def on_retried(sender: str, event: TaskEvent) -> None:
        told.append(("retried", None))

    async def fails(payload: Any, context: TaskContext) -> None:
        raise ValueError

    rig.tasks.signals().failed.connect_via("job")(on_failed)
    rig.tasks.signals().retried.connect(on_retried)
    await rig.ran(fails, max_attempts=2, retry=Constant(0))

    assert [("failed", True), ("retried", None), ("failed", False)] == told


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_receiver_that_wants_to_end_the_process_does_not(
    rig: Rig, kind: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """SystemExit and its like are no more than a receiver's trouble: the worker still settles and claims."""

    def ends(sender: str, event: TaskEvent) -> None:
        raise error

    async def ends_later(sender: str, event: TaskEvent) -> None:
        await asyncio.sleep(0)
        raise error

    caplog.set_level(logging.CRITICAL)
    rig.define("echo", echo)
    for signal in (rig.tasks.signals().started, rig.tasks.signals().completed):
        signal.connect(ends if kind == "sync" else ends_later)
    async with rig.working():
        for number in range(3):
            assert number == (await rig.until(rig.enqueue("echo", number), TaskStatus.COMPLETED)).result
