"""Cancelling a running task: its handler hears of it in its own way, and it ends cancelled however the handler ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import (
    BatchJob,
    Constant,
    JobCall,
    Snooze,
    TaskCancelled,
    TaskContext,
    TaskStarted,
    TaskStatus,
)
from app.domain.identifiers import TaskId
from app.infra.settings import Settings
from app.usecases.transaction import Transaction
from tests.faults.waiting import soon
from tests.worker.cancelling import QUIET, Handlers, assert_cancelled, cancelled
from tests.worker.running import Rig


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """On either adapter, with no heartbeat in between."""
    if request.param == "memory":
        return Settings(in_memory=True, **QUIET)
    return Settings(database_url=request.getfixturevalue("database_url"), **QUIET)


@pytest.mark.parametrize("handler", ["waits", "asks", "checks"])
@pytest.mark.parametrize("around", [False, True])
async def test_a_handler_hears_of_it_at_once(rig: Rig, handler: str, around: bool) -> None:
    """By notification, a quarter of an hour before the heartbeat: a coroutine at its await, a thread when it asks.

    Nothing has failed, so no hook is told.
    """
    handlers, heard, told = Handlers(), list[Any](), list[str | None]()
    rig.tasks.signals().cancelled.connect(hear := _hearing(told))

    async def middleware(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return await inner()

    policies: dict[str, Any] = {"on_error": [lambda payload, context, error: heard.append(error)]}
    rig.define("job", handlers.named(handler), **(policies | {"middleware": [middleware]} if around else policies))
    task = rig.enqueue("job")
    async with cancelled(rig, handlers, task) as worker:
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert (0, 1) == (worker.left_behind, worker.finished)
        await soon(lambda: bool(told), what="listeners hear of it")

    assert_cancelled(found)
    assert [(True, True)] == handlers.seen
    assert ([], []) == (heard, found.errors)
    assert 1 == len(told)
    del hear


def _hearing(told: list[str | None]) -> Any:
    def hear(sender: str, event: TaskCancelled) -> None:
        told.append(event.reason)

    return hear


@pytest.mark.parametrize("ending", ["returns", "fails", "snoozes", "cancels"])
async def test_however_its_handler_ends_the_task_ends_cancelled(rig: Rig, ending: str) -> None:
    """It is not completed, not failed, not retried and not put off; what failed is kept."""
    handlers = Handlers()

    def ends(payload: Any, context: TaskContext) -> Any:
        handlers.asks(payload, context)
        match ending:
            case "fails":
                raise ValueError("broke on the way out")
            case "snoozes":
                raise Snooze(0)
            case "cancels":
                raise asyncio.CancelledError
        return "a result"

    rig.define("job", ends, retry=Constant(0))
    task = rig.enqueue("job")
    async with cancelled(rig, handlers, task):
        found = await rig.until(task, TaskStatus.CANCELLED)
    await rig.tasks.worker().drain()

    assert_cancelled(found)
    assert (None, TaskStatus.CANCELLED) == (found.result, rig.find(task).status)
    assert (["broke on the way out"] if ending == "fails" else []) == [error.message for error in found.errors]
    assert 1 == len(handlers.seen)


async def test_a_waiting_attempt_that_has_not_begun_never_does(rig: Rig) -> None:
    """Cancelled before its first step, the handler is not called."""
    called: list[int] = []

    async def hook(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        await asyncio.sleep(60)

    async def handler(payload: Any, context: TaskContext) -> None:
        called.append(1)

    handlers = Handlers()
    rig.define("job", handler, before=[hook])
    task = rig.enqueue("job")
    async with cancelled(rig, handlers, task):
        found = await rig.until(task, TaskStatus.CANCELLED)

    assert_cancelled(found)
    assert [] == called


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_batch_ends_with_what_is_done_remembered(rig: Rig, asynchronous: bool) -> None:
    """Items on the loop are cancelled, items in threads end; none is begun any more, and a retry does the others."""
    handlers, done = Handlers(), list[int]()

    class Batch(BatchJob[Any, int, int]):
        concurrency = 1

        def items(self, payload: Any, context: TaskContext) -> list[int]:
            return [0, 1, 2, 3]

        def asks(self, item: int, context: TaskContext) -> int:
            if item == 1 and context.task.attempts == 1 and not handlers.seen:
                handlers.asks(None, context)
            done.append(item)
            return item

        async def waits(self, item: int, context: TaskContext) -> int:
            if item == 1 and not handlers.seen:
                await handlers.waits(None, context)
            done.append(item)
            return item

    Batch.process = Batch.waits if asynchronous else Batch.asks  # type: ignore[method-assign, assignment]
    rig.jobs.add(Batch("batch"))
    task = rig.enqueue("batch")
    async with cancelled(rig, handlers, task):
        found = await rig.until(task, TaskStatus.CANCELLED)
        begun = list(done)
        rig.tasks.retry_task().execute(task.id)
        again = await rig.until(task, TaskStatus.COMPLETED)

    assert_cancelled(found)
    assert [(True, True)] == handlers.seen
    assert ([0] if asynchronous else [0, 1]) == begun
    assert [0, 1, 2, 3] == sorted(done)
    assert 4 == again.result["succeeded"]


async def test_a_hint_without_a_mark_does_no_harm(rig: Rig) -> None:
    """It came too late, and is about an attempt that ended: the one that runs now is given back, and begins again."""
    handlers = Handlers()

    async def waits(payload: Any, context: TaskContext) -> str:
        if handlers.seen:
            return "ran again"
        return await handlers.waits(payload, context)

    rig.define("job", waits, max_attempts=1)
    task = rig.enqueue("job")
    async with rig.working():
        await soon(handlers.began.is_set, what="the handler has begun")
        rig.tasks.unit_of_work().run(lambda tx: tx.interrupt([task.id]))
        found = await rig.until(task, TaskStatus.COMPLETED)

    assert ("ran again", 1, []) == (found.result, found.attempts, found.errors)


async def test_a_hint_that_comes_before_the_answer_of_the_claim_is_not_lost(rig: Rig) -> None:
    """
    Between the commit of a claim and the moment its worker hears of it, somebody may cancel the task.
    """
    handlers = Handlers()
    rig.define("waits", handlers.waits)

    def cancel(sender: str, event: TaskStarted) -> None:
        rig.tasks.unit_of_work().run(_mark, event.task.id)
        worker._slots.cancel([event.task.id])

    rig.tasks.signals().started.connect(cancel)
    task = rig.enqueue("waits")
    async with rig.working() as worker:
        found = await rig.until(task, TaskStatus.CANCELLED)

    assert 1 == found.attempts


def _mark(tx: Transaction, task_id: TaskId) -> None:
    [task] = tx.tasks.lock([task_id])
    task.cancel(now=tx.now())
    tx.tasks.save([task])


async def test_others_run_on(rig: Rig) -> None:
    """Of many that run here only those are stopped that were cancelled."""
    began: list[int] = []
    enough = asyncio.Event()

    async def waits(payload: int, context: TaskContext) -> int:
        began.append(payload)
        await enough.wait()
        return payload

    rig.define("job", waits)
    tasks = [rig.enqueue("job", number) for number in range(5)]
    async with rig.working():
        await soon(lambda: len(began) == 5, what="all run")
        for task in tasks[:2]:
            rig.tasks.cancel_task().execute(task.id)
        for task in tasks[:2]:
            await rig.until(task, TaskStatus.CANCELLED)
        assert {TaskStatus.RUNNING} == {rig.find(task).status for task in tasks[2:]}
        enough.set()
        for task in tasks[2:]:
            await rig.until(task, TaskStatus.COMPLETED)
