"""Run task: a stored task is run where it is called, as a worker would."""

import asyncio
import threading
import time
from typing import Any

import pytest

from app import (
    CancelTask,
    Constant,
    FailForGood,
    JobCatalog,
    LoopIsRunning,
    RetryLater,
    Snooze,
    TaskCompleted,
    TaskContext,
    TaskQueueContainer,
    TaskStatus,
)
from app.infra.settings import Settings
from tests.worker.running import Rig
from tests.worker.runs import Order, Shipped, assert_nothing_is_left, echo, fails, job_of, ship


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
