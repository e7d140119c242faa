"""Tick: what is due is run within a budget, and nothing of the worker is left afterwards."""

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import Any

from app import Constant, JobCatalog, Snooze, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import measured, soon
from tests.worker.running import Rig
from tests.worker.runs import assert_nothing_is_left
from tests.worker.ticks import echo, forever, ours


async def test_a_tick_runs_what_is_due_and_signs_off(rig: Rig) -> None:
    """Retries and scheduled tasks that have fallen due are among it; what is due later stays for another tick."""

    async def fails_twice(payload: Any, context: TaskContext) -> None:
        if context.task.attempts < 3:
            raise ValueError

    rig.define("echo", echo)
    rig.define("thread", lambda payload, context: payload)
    rig.define("fails", fails_twice, retry=Constant(0))
    tasks = [rig.enqueue("echo", number) for number in range(12)] + [rig.enqueue("thread", 7), rig.enqueue("fails")]
    scheduled, later = rig.enqueue("echo", "soon", delay=0.05), rig.enqueue("echo", delay=600)
    # By the database's clock, which no test moves: it is this machine's.
    await soon(lambda: datetime.now(UTC) > scheduled.scheduled_at, what="the delay is over")

    assert 12 + 1 + 3 + 1 == await rig.tasks.worker().tick()

    assert {TaskStatus.COMPLETED} == {rig.find(task).status for task in [*tasks, scheduled]}
    assert TaskStatus.PENDING is rig.find(later).status
    assert_nothing_is_left(rig)


async def test_a_tick_is_over_when_nothing_is_due(rig: Rig) -> None:
    """It does not wait for the rest of its budget."""
    rig.define("echo", echo)
    rig.enqueue("echo")
    worker = rig.tasks.worker()

    began = time.monotonic()
    assert [1, 0, 0] == [await worker.tick(budget=600) for _ in range(3)]
    assert time.monotonic() - began < 10


async def test_a_tick_runs_what_its_handlers_enqueue(rig: Rig) -> None:
    """As drain does."""

    async def parent(payload: int, context: TaskContext) -> None:
        if payload:
            await rig.tasks.enqueue_task().aexecute(type="parent", payload=payload - 1)

    rig.define("parent", parent)
    rig.enqueue("parent", 4)

    assert 5 == await rig.tasks.worker().tick()


async def test_a_tick_runs_at_most_so_many_tasks(rig: Rig) -> None:
    """The next one goes on."""
    rig.define("echo", echo)
    for _ in range(20):
        rig.enqueue("echo")
    worker = rig.tasks.worker()

    assert [7, 7, 6, 0] == [await worker.tick(max_tasks=7) for _ in range(4)]
    assert_nothing_is_left(rig)


async def test_work_that_comes_during_a_tick_is_taken_while_there_is_room(rig: Rig) -> None:
    """One long attempt does not keep the other slots idle."""
    finish = asyncio.Event()

    async def long(payload: Any, context: TaskContext) -> None:
        await finish.wait()

    rig.define("echo", echo)
    rig.define("long", long)
    running = rig.enqueue("long")
    tick = asyncio.create_task(rig.tasks.worker().tick(budget=60))
    await rig.until(running, TaskStatus.RUNNING)

    await rig.until(rig.enqueue("echo"), TaskStatus.COMPLETED)

    finish.set()
    assert 2 == await tick


async def test_what_still_runs_at_the_end_of_the_budget_is_given_back(rig: Rig) -> None:
    """With no attempt spent, and not counted; coroutines, threads, and one that swallows its cancellation. A tick of
    whatever length ends within its budget when its handlers can be cancelled, a second later when one cannot."""
    release = threading.Event()

    async def stubborn(payload: Any, context: TaskContext) -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    def in_thread(payload: Any, context: TaskContext) -> None:
        release.wait(60)

    rig.define("echo", echo)
    rig.define("forever", forever)
    rig.define("thread", in_thread)
    rig.define("stubborn", stubborn)
    long = [rig.enqueue(type) for type in ("forever", "thread")]
    short = rig.enqueue("echo")
    worker = rig.tasks.worker()

    began = time.monotonic()
    ran = await worker.tick(budget=2)
    took = time.monotonic() - began
    measured(f"a tick of 2 s took {took:.2f} s")

    assert 1 == ran
    assert 1.5 < took < 2.3
    long.append(rig.enqueue("stubborn"))
    await worker.tick(budget=1)
    assert {(TaskStatus.PENDING, 0, None)} == {
        (found.status, found.attempts, found.worker_id) for found in map(rig.find, long)
    }
    assert TaskStatus.COMPLETED is rig.find(short).status
    assert_nothing_is_left(rig)
    release.set()


async def test_nothing_is_begun_that_would_not_end_in_time(rig: Rig) -> None:
    """Going by the longest attempt so far, so that no work is done in vain."""
    interrupted: list[bool] = []

    async def nap(payload: Any, context: TaskContext) -> None:
        try:
            await asyncio.sleep(0.6)
        except asyncio.CancelledError:
            interrupted.append(True)
            raise

    rig.define("nap", nap)
    for _ in range(30):
        rig.enqueue("nap")

    ran = await rig.tasks.worker().tick(budget=2)

    assert [] == interrupted
    assert 10 <= ran <= 15


async def test_an_attempt_that_is_over_its_own_timeout_is_a_failed_one(rig: Rig) -> None:
    """The budget does not replace it."""
    rig.define("forever", forever, timeout=0.2, max_attempts=1)
    task = rig.enqueue("forever")

    assert 1 == await rig.tasks.worker().tick()

    assert (TaskStatus.FAILED, 1) == (rig.find(task).status, rig.find(task).attempts)
    assert "AttemptTimedOut" in (rig.find(task).error or "")


async def test_no_thread_of_a_worker_outlives_a_tick(rig: Rig) -> None:
    """Neither the heartbeat nor the threads of handlers, though those are kept for reuse elsewhere."""
    before = ours()
    rig.define("thread", lambda payload, context: payload)
    for number in range(20):
        rig.enqueue("thread", number)

    assert 20 == await rig.tasks.worker().tick()

    await soon(lambda: ours() <= before, what="the threads of the tick have ended", within=5)


async def test_a_snoozed_task_is_left_for_another_tick(rig: Rig) -> None:
    """It counts as an attempt that was run."""

    async def not_yet(payload: Any, context: TaskContext) -> None:
        raise Snooze(60)

    rig.define("not-yet", not_yet)
    task = rig.enqueue("not-yet")

    assert 1 == await rig.tasks.worker().tick()
    assert (TaskStatus.PENDING, 0) == (rig.find(task).status, rig.find(task).attempts)


async def test_concurrent_ticks_share_the_work(rig: Rig) -> None:
    """Of one worker object or of several, each task is run once."""
    ran: list[int] = []

    async def note(payload: int, context: TaskContext) -> None:
        ran.append(payload)
        await asyncio.sleep(0.01)

    rig.define("note", note)
    for number in range(60):
        rig.enqueue("note", number)
    worker = rig.tasks.worker()

    counts = await asyncio.gather(worker.tick(), worker.tick(), rig.tasks.worker().tick())

    assert list(range(60)) == sorted(ran)
    assert 60 == sum(counts)
    assert_nothing_is_left(rig)


def test_a_worker_object_ticks_on_one_event_loop_after_another(settings: Settings) -> None:
    """As a platform does that keeps the process and calls ``asyncio.run`` each time."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    worker = tasks.worker()

    counts = []
    for number in range(4):
        tasks.enqueue_task().execute(type="echo", payload=number)
        counts.append(asyncio.run(worker.tick()))

    assert [1, 1, 1, 1] == counts
    tasks.close()
