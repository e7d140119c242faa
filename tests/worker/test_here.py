"""Here and now: jobs run where they are called, with nothing stored, stored and run, or stored before."""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app import (
    CancelTask,
    Constant,
    DatabaseUnavailable,
    FailForGood,
    IllegalTransition,
    InvalidInput,
    Job,
    JobCatalog,
    LeaseLost,
    LoopIsRunning,
    Outcome,
    RetryLater,
    Snooze,
    TaskCompleted,
    TaskContext,
    TaskHeld,
    TaskNotFound,
    TaskQueueContainer,
    TaskStatus,
    Unfit,
    UnknownType,
)
from app.infra.settings import Settings
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.workers import RemoveWorker
from tests.examples import new_id
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


@dataclass
class Order:
    number: int


@dataclass
class Shipped:
    parcel: str


def ship(payload: Order, context: TaskContext) -> Shipped:
    return Shipped(f"parcel {payload.number}")


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def fails(payload: Any, context: TaskContext) -> None:
    raise ValueError("no such mailbox")


def job_of(rig: Rig, type: str) -> Job[Any, Any]:
    job = rig.jobs.get(type)
    assert job is not None
    return job


def assert_nothing_is_left(rig: Rig) -> None:
    """No worker is registered, and nothing runs."""
    assert [] == list(rig.tasks.check_queue().execute().workers)
    assert 0 == rig.tasks.get_task_stats().execute().running


# --- run_task


async def test_a_stored_task_is_run_as_a_worker_would(rig: Rig) -> None:
    """Its typed result comes back with the task as it is stored afterwards; nobody stays registered."""
    rig.define("ship", ship, payload=Order, result=Shipped)
    task = rig.enqueue("ship", {"number": 7})
    other = rig.enqueue("ship", {"number": 8})

    outcome = await rig.tasks.run_task().aexecute(task.id)

    assert (Shipped("parcel 7"), None, True) == (outcome.result, outcome.error, outcome.succeeded)
    assert (task.id, TaskStatus.COMPLETED, {"parcel": "parcel 7"}, 1) == (
        outcome.task.id,
        outcome.task.status,
        outcome.task.result,
        outcome.task.attempts,
    )
    assert TaskStatus.COMPLETED is rig.find(task).status
    assert TaskStatus.PENDING is rig.find(other).status
    assert 0 < outcome.duration < 10
    assert_nothing_is_left(rig)


def test_a_blocking_caller_runs_one_without_an_event_loop(settings: Settings) -> None:
    """Again and again, handlers of both kinds, between other calls of the same container."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    jobs.define("thread")(lambda payload, context: payload)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)

    for type in ("echo", "thread", "echo"):
        task = tasks.enqueue_task().execute(type=type, payload=type)
        assert type == tasks.run_task().execute(task.id).unwrap()
        assert TaskStatus.COMPLETED is tasks.find_task().execute(task.id).status
    tasks.close()


async def test_a_blocking_call_on_an_event_loop_says_what_to_await(rig: Rig) -> None:
    """Before anything is stored or run."""
    rig.define("echo", echo)
    task = rig.enqueue("echo")

    with pytest.raises(LoopIsRunning, match="aexecute"):
        rig.tasks.run_task().execute(task.id)
    with pytest.raises(LoopIsRunning, match="arun"):
        job_of(rig, "echo").run(1)
    with pytest.raises(LoopIsRunning, match="arun") as refused:
        job_of(rig, "echo").run(1, persist=True)

    assert "arun()" == refused.value.instead
    assert (1, TaskStatus.PENDING) == (rig.tasks.get_task_stats().execute().total, rig.find(task).status)


async def test_a_task_of_the_future_is_run_now(rig: Rig) -> None:
    """It was asked for by its id."""
    rig.define("echo", echo)
    task = rig.enqueue("echo", 5, delay=600)

    assert 5 == (await rig.tasks.run_task().aexecute(task.id)).unwrap()
    assert TaskStatus.COMPLETED is rig.find(task).status


async def test_a_failed_attempt_is_in_the_outcome_and_its_retry_is_stored(rig: Rig) -> None:
    """The error is the very one that the handler raised; when the budget is spent, the task has failed."""
    rig.define("fails", fails, retry=Constant(600), max_attempts=2)
    task = rig.enqueue("fails")

    first = await rig.tasks.run_task().aexecute(task.id)
    second = await rig.tasks.run_task().aexecute(task.id)

    assert isinstance(first.error, ValueError)
    assert (TaskStatus.PENDING, 1, "ValueError: no such mailbox") == (
        first.task.status,
        first.task.attempts,
        first.task.error,
    )
    assert 500 < (first.task.scheduled_at - first.task.created_at).total_seconds()
    assert (TaskStatus.FAILED, 2, 2) == (second.task.status, second.task.attempts, len(second.task.errors))
    with pytest.raises(ValueError, match="no such mailbox"):
        second.unwrap()


@pytest.mark.parametrize(
    ("answer", "status", "attempts"),
    [
        (Snooze(60), TaskStatus.PENDING, 0),
        (RetryLater(60), TaskStatus.PENDING, 1),
        (CancelTask("not wanted"), TaskStatus.CANCELLED, 1),
        (FailForGood("never"), TaskStatus.FAILED, 1),
    ],
)
async def test_what_a_handler_answers_is_done(rig: Rig, answer: Exception, status: TaskStatus, attempts: int) -> None:
    """And comes back as the error of the outcome."""

    async def answers(payload: Any, context: TaskContext) -> None:
        raise answer

    rig.define("answers", answers)
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("answers").id)

    assert answer is outcome.error
    assert (status, attempts) == (outcome.task.status, outcome.task.attempts)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_the_timeout_of_a_job_holds(rig: Rig, in_thread: bool) -> None:
    """As for a worker: what is late is an attempt that failed."""
    release = threading.Event()

    async def slow(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(60)

    def slow_in_thread(payload: Any, context: TaskContext) -> None:
        release.wait(60)

    rig.define("slow", slow_in_thread if in_thread else slow, timeout=0.2)
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("slow").id)
    release.set()

    assert isinstance(outcome.error, TimeoutError)
    assert "no result within 0.2 s" in str(outcome.error)
    assert (TaskStatus.PENDING, 1) == (outcome.task.status, outcome.task.attempts)


def test_a_handler_that_swallows_its_cancellation_does_not_hold_the_caller(settings: Settings) -> None:
    """Its timeout ends the attempt, and the call a moment later."""
    jobs = JobCatalog()
    stop = threading.Event()

    async def stubborn(payload: Any, context: TaskContext) -> None:
        while not stop.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    jobs.define("stubborn", timeout=0.2)(stubborn)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    task = tasks.enqueue_task().execute(type="stubborn")

    # It gets a second to be cancelled, and another one when its event loop ends; then it has to be let go.
    threading.Timer(3.5, stop.set).start()
    began = time.monotonic()
    outcome = tasks.run_task().execute(task.id)

    assert isinstance(outcome.error, TimeoutError)
    assert time.monotonic() - began < 3.5
    tasks.close()


async def test_a_result_that_cannot_be_stored_fails_for_good(rig: Rig) -> None:
    """As it does for a worker."""

    async def unfit(payload: Any, context: TaskContext) -> Any:
        return object()

    rig.define("unfit", unfit)
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("unfit").id)

    assert isinstance(outcome.error, FailForGood)
    assert TaskStatus.FAILED is outcome.task.status


async def test_hooks_progress_and_events_are_as_ever(rig: Rig) -> None:
    """Signals are published once the outcome is stored."""
    called: list[str] = []
    told: list[TaskCompleted] = []

    async def before(payload: Any, context: TaskContext) -> None:
        called.append(f"before as {context.worker_id.partition('/')[0]}")

    async def works(payload: Any, context: TaskContext) -> None:
        context.progress(50, "half")

    def heard(sender: str, event: TaskCompleted) -> None:
        told.append(event)

    rig.tasks.signals().completed.connect(heard)
    rig.define("works", works, before=[before])
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("works").id)

    assert ["before as here"] == called
    assert [outcome.task.id] == [event.task.id for event in told]
    assert (50, "half") == (outcome.task.progress, outcome.task.progress_message)


def test_asynchronous_receivers_hear_of_what_a_blocking_caller_ran(settings: Settings) -> None:
    """Before its call returns, because its event loop ends then."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    told: list[Any] = []

    async def heard(sender: str, event: TaskCompleted) -> None:
        await asyncio.sleep(0.05)
        told.append(event.result)

    tasks.signals().completed.connect(heard)
    tasks.run_task().execute(tasks.enqueue_task().execute(type="echo", payload=5).id)

    assert [5] == told
    tasks.close()


async def test_what_cannot_be_run_is_refused(rig: Rig) -> None:
    """An id that nobody has, a type that is unknown here, a task that has ended: each with an error of its own."""
    rig.define("echo", echo)
    done, strange = rig.enqueue("echo"), rig.enqueue("video:cut")
    await rig.tasks.run_task().aexecute(done.id)
    run = rig.tasks.run_task().aexecute

    with pytest.raises(TaskNotFound):
        await run(new_id())
    with pytest.raises(UnknownType, match="video:cut"):
        await run(strange.id)
    with pytest.raises(IllegalTransition, match="it is completed"):
        await run(done.id)
    with pytest.raises(InvalidInput):
        await run("nothing")  # type: ignore[arg-type]  # that is the point

    assert (TaskStatus.PENDING, 0) == (rig.find(strange).status, rig.find(strange).attempts)
    assert_nothing_is_left(rig)


async def test_a_task_that_a_worker_runs_is_refused(rig: Rig) -> None:
    """With the name of that worker, whose attempt goes on."""
    finish = asyncio.Event()

    async def waits(payload: Any, context: TaskContext) -> str:
        await finish.wait()
        return context.worker_id

    rig.define("waits", waits)
    task = rig.enqueue("waits")
    async with rig.working() as worker:
        await rig.until(task, TaskStatus.RUNNING)
        with pytest.raises(TaskHeld) as refused:
            await rig.tasks.run_task().aexecute(task.id)
        assert worker.id == refused.value.worker_id
        finish.set()
        assert worker.id == (await rig.until(task, TaskStatus.COMPLETED)).result


async def test_two_who_run_one_task_run_it_once(rig: Rig) -> None:
    """One gets the outcome, the other the refusal."""
    ran: list[int] = []

    async def note(payload: Any, context: TaskContext) -> None:
        ran.append(1)
        await asyncio.sleep(0.05)

    rig.define("note", note)
    task = rig.enqueue("note")
    run = rig.tasks.run_task().aexecute

    answers = await asyncio.gather(*(run(task.id) for _ in range(4)), return_exceptions=True)

    assert [1] == ran
    assert 1 == sum(isinstance(answer, Outcome) for answer in answers)
    assert all(isinstance(answer, Outcome | IllegalTransition) for answer in answers)


async def test_a_cancelled_call_gives_the_task_back(rig: Rig) -> None:
    """No attempt is spent, and it is due as before: now, or when it was scheduled for."""
    began = asyncio.Event()

    async def forever(payload: Any, context: TaskContext) -> None:
        began.set()
        await asyncio.sleep(3600)

    rig.define("forever", forever)
    for asked in ({}, {"delay": 600}):
        task = rig.enqueue("forever", **asked)
        running = asyncio.create_task(rig.tasks.run_task().aexecute(task.id))
        await began.wait()
        began.clear()

        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)

        found = rig.find(task)
        assert (TaskStatus.PENDING, 0, task.scheduled_at) == (found.status, found.attempts, found.scheduled_at)
    assert_nothing_is_left(rig)


async def test_an_outcome_that_came_too_late_is_no_success(rig: Rig) -> None:
    """Whoever was taken for dead is told so: the task is others' now, and nothing of this attempt was stored."""

    async def outlives_its_lease(payload: Any, context: TaskContext) -> str:
        rig.tasks.unit_of_work().run(RemoveWorker(), context.worker_id)
        rig.tasks.unit_of_work().run(RecoverTasks())
        return "done"

    rig.define("slow", outlives_its_lease)
    task = rig.enqueue("slow")

    outcome = await rig.tasks.run_task().aexecute(task.id)

    assert isinstance(outcome.error, LeaseLost)
    assert (None, TaskStatus.PENDING, ["WorkerLost"]) == (
        outcome.result,
        outcome.task.status,
        [error.type for error in outcome.task.errors],
    )


async def test_a_database_that_goes_away_meanwhile_is_said(database_url: str) -> None:
    """Whoever asked must not take the outcome for stored."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, **QUICK), jobs=jobs)
    admin = create_async_engine(
        database_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    name = tasks.sync_engine().url.database

    async def breaks(payload: Any, context: TaskContext) -> None:
        async with admin.connect() as connection:
            await connection.execute(text(f'ALTER SCHEMA worker RENAME TO "away_{name}"'))

    jobs.define("breaks")(breaks)
    task = await tasks.enqueue_task().aexecute(type="breaks")

    with pytest.raises(DatabaseUnavailable) as said:
        await tasks.run_task().aexecute(task.id)

    assert said.value.outcome_unknown
    assert str(task.id) in str(said.value)
    await tasks.aclose()
    await admin.dispose()


# --- run and arun


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


# --- persist=True


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


# --- arun_many


@dataclass
class Crowd:
    """A handler that knows how many of it run at once."""

    now: int = 0
    most: int = 0
    begun: int = 0

    async def __call__(self, payload: int, context: TaskContext) -> int:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02 * (3 - payload % 3))
            if payload == 5:
                raise ValueError(payload)
            return payload
        finally:
            self.now -= 1


@pytest.mark.parametrize("persist", [False, True])
async def test_many_are_run_so_many_at_once_and_come_in_order(rig: Rig, persist: bool) -> None:
    """However long each takes, and whether or not one fails."""
    crowd = Crowd()
    rig.define("crowd", crowd)

    outcomes = await job_of(rig, "crowd").arun_many(range(12), concurrency=3, persist=persist)

    assert [None if number == 5 else number for number in range(12)] == [outcome.result for outcome in outcomes]
    assert [number != 5 for number in range(12)] == [outcome.succeeded for outcome in outcomes]
    assert (3, 12) == (crowd.most, crowd.begun)
    assert [] == await job_of(rig, "crowd").arun_many([], persist=persist)
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("persist", [False, True])
async def test_stop_on_error_begins_no_more(rig: Rig, persist: bool) -> None:
    """What had begun comes to its end, and the list ends with the last one begun."""
    crowd = Crowd()
    rig.define("crowd", crowd)

    outcomes = await job_of(rig, "crowd").arun_many(range(30), concurrency=3, persist=persist, stop_on_error=True)

    assert crowd.begun == len(outcomes) < 30
    assert list(range(len(outcomes))) == [5 if outcome.error else outcome.result for outcome in outcomes]
    assert [5] == [number for number, outcome in enumerate(outcomes) if not outcome.succeeded]


@pytest.mark.parametrize("persist", [False, True])
async def test_cancelling_many_cancels_what_runs_and_begins_no_more(rig: Rig, persist: bool) -> None:
    """What was stored is given back."""
    crowd = Crowd()
    gate = asyncio.Event()

    async def forever(payload: int, context: TaskContext) -> int:
        gate.set()
        await asyncio.sleep(3600)
        return await crowd(payload, context)

    rig.define("forever", forever)
    running = asyncio.create_task(job_of(rig, "forever").arun_many(range(9), concurrency=2, persist=persist))
    await gate.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)

    assert 0 == crowd.begun
    stats = rig.tasks.get_task_stats().execute()
    assert stats.pending == stats.total <= 2
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("concurrency", [0, -1, "3"])
async def test_a_wrong_concurrency_is_refused(rig: Rig, concurrency: Any) -> None:
    """With the parameter's name."""
    rig.define("echo", echo)

    with pytest.raises(InvalidInput, match="concurrency"):
        await job_of(rig, "echo").arun_many([1], concurrency=concurrency)
