"""Tick: how it is ended early, and how it takes back what others left."""

import asyncio
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import InvalidInput, TaskContext, TaskQueueContainer, TaskStatus, WorkerTask
from app.infra.settings import Settings
from app.usecases.tasks.claim import ClaimTask
from app.usecases.workers import RegisterWorker
from tests.examples import a_node
from tests.faults.waiting import soon
from tests.worker import isolated
from tests.worker.running import Rig
from tests.worker.runs import assert_nothing_is_left
from tests.worker.ticks import echo, forever


async def test_stop_ends_a_tick_in_good_order(rig: Rig) -> None:
    """What runs has the grace of a stop, then it is given back; after that the worker does nothing more."""
    rig.define("forever", forever)
    task = rig.enqueue("forever")
    worker = rig.tasks.worker()
    tick = asyncio.create_task(worker.tick(budget=60))
    await rig.until(task, TaskStatus.RUNNING)

    began = time.monotonic()
    worker.stop()
    assert 0 == await asyncio.wait_for(tick, 20)

    assert 1.5 < time.monotonic() - began < 4  # worker_shutdown_grace is 2
    assert (TaskStatus.PENDING, 0) == (rig.find(task).status, rig.find(task).attempts)
    assert 0 == await worker.tick()
    assert_nothing_is_left(rig)


async def test_a_second_stop_does_not_wait(rig: Rig) -> None:
    """As for a worker that runs."""
    rig.define("forever", forever)
    task = rig.enqueue("forever")
    worker = rig.tasks.worker()
    tick = asyncio.create_task(worker.tick(budget=60))
    await rig.until(task, TaskStatus.RUNNING)

    worker.stop()
    worker.stop()
    await asyncio.wait_for(tick, 1.5)

    assert TaskStatus.PENDING is rig.find(task).status


async def test_sigterm_ends_a_tick_in_good_order(rig: Rig) -> None:
    """A handler that asks is told, finishes, and the tick returns; the application's own handlers are back then."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    async def polite(payload: Any, context: TaskContext) -> str:
        while not context.is_shutting_down():  # noqa: ASYNC110  # the way that handlers have
            await asyncio.sleep(0.01)
        return "put everything in order"

    rig.define("polite", polite)
    rig.define("echo", echo)
    task = rig.enqueue("polite")
    tick = asyncio.create_task(rig.tasks.worker().tick(budget=60))
    await rig.until(task, TaskStatus.RUNNING)

    os.kill(os.getpid(), signal.SIGTERM)
    assert 1 == await asyncio.wait_for(tick, 10)

    assert "put everything in order" == rig.find(task).result
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert_nothing_is_left(rig)


async def test_a_handler_in_a_process_of_its_own_hears_that_a_tick_stops(settings: Settings, tmp_path: Path) -> None:
    """At once, and not only when its grace is over; so it completes."""
    tasks = TaskQueueContainer(settings=settings, jobs=isolated.jobs)
    rig, file = Rig(tasks, isolated.jobs), tmp_path / "pids"
    task = rig.enqueue("sleeps", {"file": str(file), "polite": True})
    worker = tasks.worker()
    tick = asyncio.create_task(worker.tick(budget=60))
    await soon(file.exists, within=20, what="the handler has begun")

    worker.stop()
    assert 1 == await asyncio.wait_for(tick, 20)

    assert (TaskStatus.COMPLETED, 1) == (rig.find(task).status, rig.find(task).attempts)
    await tasks.aclose()


async def test_a_cancelled_tick_gives_everything_back(rig: Rig) -> None:
    """An application that puts a timeout of its own around it loses nothing."""
    rig.define("forever", forever)
    task = rig.enqueue("forever")
    tick = asyncio.create_task(rig.tasks.worker().tick(budget=60))
    await rig.until(task, TaskStatus.RUNNING)

    tick.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(tick, 10)

    assert (TaskStatus.PENDING, 0) == (rig.find(task).status, rig.find(task).attempts)
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"budget": "20s"}, {"max_tasks": 0}, {"max_tasks": 1.5}])
async def test_a_wrong_budget_is_refused(rig: Rig, wrong: dict[str, Any]) -> None:
    """With the parameter's name; a timedelta is as good as seconds."""
    rig.define("echo", echo)
    task = rig.enqueue("echo")

    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        await rig.tasks.worker().tick(**wrong)

    assert TaskStatus.PENDING is rig.find(task).status
    assert 1 == await rig.tasks.worker().tick(budget=timedelta(seconds=20))


async def test_a_tick_takes_back_what_a_silent_worker_held(rig: Rig) -> None:
    """Where nothing else runs but ticks, nobody else would; it is run by the same tick."""
    rig.define("echo", echo)
    task = rig.enqueue("echo", 5)
    hold(rig, task, lease=0.5)

    def is_late() -> bool:
        return any(worker.is_late for worker in rig.tasks.check_queue().execute().workers)

    await soon(is_late, what="the worker is silent for longer than its lease")
    began = time.monotonic()
    assert 1 == await rig.tasks.worker().tick(budget=4)

    found = rig.find(task)
    assert (TaskStatus.COMPLETED, 2, ["WorkerLost"]) == (
        found.status,
        found.attempts,
        [error.type for error in found.errors],
    )
    assert 2 <= time.monotonic() - began, "those who live had no time to renew their leases"
    assert_nothing_is_left(rig)


async def test_a_worker_that_renews_its_lease_meanwhile_is_not_buried(rig: Rig) -> None:
    """After an outage of the database every lease has run out, and the living are about to say so."""
    rig.define("echo", echo)
    task = rig.enqueue("echo", 5)
    node = hold(rig, task, lease=1)

    def is_late() -> bool:
        return any(worker.is_late for worker in rig.tasks.check_queue().execute().workers)

    await soon(is_late, what="the worker is silent for longer than its lease")
    noticed = threading.Event()  # only with something to do is the schema looked at
    tick = asyncio.create_task(rig.tasks.worker(verify=noticed.set).tick(budget=4))
    await soon(noticed.is_set, what="the tick has seen that a worker is silent")
    while not tick.done():
        rig.tasks.unit_of_work().run(RegisterWorker(), node)  # as good as a beat
        await asyncio.wait({tick}, timeout=0.1)

    assert 0 == await tick
    assert (TaskStatus.RUNNING, node.id) == (rig.find(task).status, rig.find(task).worker_id)


def hold(rig: Rig, task: WorkerTask, *, lease: float) -> Any:
    """Have a worker of that lease run *task* that will never be heard of again."""
    node = a_node("silent/1", lease=lease)
    held = rig.tasks.unit_of_work().run(ClaimTask(rig.jobs), node, task.id)
    assert TaskStatus.RUNNING is held.status
    return node
