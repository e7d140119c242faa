"""Here and now: a job is run where it is called, with nothing stored, or stored by the way."""

import asyncio
import gc
from typing import Any

import pytest

from app import Constant, FailForGood, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus, Unfit
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.running import Rig
from tests.worker.runs import Order, Shipped, assert_nothing_is_left, echo, job_of, ship


async def test_without_persist_nothing_is_stored(rig: Rig) -> None:
    """The outcome has a task all the same, as it would have been."""
    rig.define("ship", ship, payload=Order, result=Shipped)

    outcome = await job_of(rig, "ship").arun(Order(7))

    assert Shipped("parcel 7") == outcome.unwrap()
    assert (TaskStatus.COMPLETED, "here") == (outcome.task.status, outcome.task.worker_id)
    assert 0 == rig.tasks.get_task_stats().execute().total


@pytest.mark.parametrize("raised", [SystemExit(3), StopIteration(), asyncio.CancelledError(), ValueError("no")])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_whatever_a_handler_raises_is_in_the_outcome(rig: Rig, raised: BaseException, in_thread: bool) -> None:
    """It neither ends the caller's event loop nor leaves it waiting."""

    async def raises(payload: Any, context: TaskContext) -> None:
        raise raised

    def raises_in_thread(payload: Any, context: TaskContext) -> None:
        raise raised

    rig.define("raises", raises_in_thread if in_thread else raises)

    outcome = await asyncio.wait_for(job_of(rig, "raises").arun(None), 10)

    assert not outcome.succeeded
    assert isinstance(outcome.error, RuntimeError if isinstance(raised, StopIteration) else type(raised))
    assert TaskStatus.PENDING is outcome.task.status


@pytest.mark.filterwarnings("error")
async def test_what_cannot_be_stored_fails_for_good_either_way(rig: Rig) -> None:
    """As by a worker: another attempt would bring it again; a coroutine that nobody awaits is closed."""

    async def unstorable(payload: Any, context: TaskContext) -> Any:
        return object()

    def forgotten(payload: Any, context: TaskContext) -> Any:
        return echo(payload, context)

    rig.define("unstorable", unstorable)
    rig.define("forgotten", forgotten)

    for type, told in (("unstorable", "returned what cannot be stored"), ("forgotten", "make it `async def`")):
        for persist in (False, True):
            outcome = await job_of(rig, type).arun(None, persist=persist)
            gc.collect()
            assert isinstance(outcome.error, FailForGood)
            assert told in str(outcome.error)
            assert (TaskStatus.FAILED, 1) == (outcome.task.status, outcome.task.attempts)


async def test_a_cancelled_run_cancels_its_handler(rig: Rig) -> None:
    """It is the caller's own."""
    cancelled: list[bool] = []
    began = asyncio.Event()

    async def forever(payload: Any, context: TaskContext) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    rig.define("forever", forever)
    running = asyncio.create_task(job_of(rig, "forever").arun(None))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert [True] == cancelled


async def test_with_persist_the_task_is_stored_and_run(rig: Rig) -> None:
    """It is there while it runs, held by whoever runs it, and completed afterwards."""
    seen: list[tuple[TaskStatus, bool]] = []

    def look(payload: Order, context: TaskContext) -> Shipped:
        found = rig.find(context.task)
        seen.append((found.status, found.worker_id == context.worker_id))
        return Shipped(f"parcel {payload.number}")

    rig.define("ship", look, payload=Order, result=Shipped, priority=3, queue="parcels")

    outcome = await job_of(rig, "ship").arun(Order(7), persist=True)

    assert Shipped("parcel 7") == outcome.unwrap()
    assert [(TaskStatus.RUNNING, True)] == seen
    found = rig.find(outcome.task)
    assert (TaskStatus.COMPLETED, {"number": 7}, 3, "parcels", 1) == (
        found.status,
        found.payload,
        found.priority,
        found.queue,
        found.attempts,
    )
    assert_nothing_is_left(rig)


def test_a_blocking_caller_may_persist_too(settings: Settings) -> None:
    """Without an event loop."""
    jobs = JobCatalog()
    job = jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)

    outcome = job.run(5, persist=True)

    assert (5, TaskStatus.COMPLETED) == (outcome.unwrap(), tasks.find_task().execute(outcome.task.id).status)
    assert 6 == job.run(6).unwrap()
    tasks.close()


async def test_nobody_snatches_what_is_run_and_persisted(rig: Rig) -> None:
    """While a worker with free slots polls, each is run by its own caller, and once."""
    runners: list[str] = []

    async def note(payload: Any, context: TaskContext) -> None:
        runners.append(context.worker_id)

    rig.define("note", note)
    async with rig.working() as worker:
        await soon(lambda: rig.tasks.check_queue().execute().workers, what="the worker is there")
        outcomes = await asyncio.gather(*(job_of(rig, "note").arun(None, persist=True) for _ in range(20)))

    assert all(outcome.succeeded for outcome in outcomes)
    assert 20 == len(set(runners))
    assert worker.id not in runners


async def test_a_failed_run_is_retried_by_a_worker(rig: Rig) -> None:
    """It was stored, with its policies; the caller hears of the first attempt."""

    async def fails_once(payload: Any, context: TaskContext) -> int:
        if context.task.attempts == 1:
            raise ValueError
        return context.task.attempts

    rig.define("fails-once", fails_once, retry=Constant(0))

    outcome = await job_of(rig, "fails-once").arun(None, persist=True)

    assert isinstance(outcome.error, ValueError)
    assert 2 == (await rig.drained(outcome.task)).result


async def test_a_payload_that_does_not_fit_is_refused_with_nothing_stored(rig: Rig) -> None:
    """Either way, and of many before any is run."""
    ran: list[int] = []

    async def count(payload: Order, context: TaskContext) -> None:
        ran.append(payload.number)

    rig.define("count", count, payload=Order)
    job = job_of(rig, "count")

    for persist in (False, True):
        with pytest.raises(Unfit):
            await job.arun({"number": 7}, persist=persist)
        with pytest.raises(Unfit):
            await job.arun_many([Order(1), {"number": 7}], persist=persist)

    assert [] == ran
    assert 0 == rig.tasks.get_task_stats().execute().total
    assert_nothing_is_left(rig)
