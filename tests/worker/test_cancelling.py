"""Cancelling a running task: its handler hears of it in its own way, and it ends cancelled however the handler ends."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from app import (
    AttemptCancelled,
    BatchJob,
    Constant,
    JobCall,
    JobCatalog,
    Snooze,
    TaskCancelled,
    TaskContext,
    TaskQueueContainer,
    TaskStatus,
    WorkerTask,
)
from app.infra.settings import Settings
from app.worker.interruption import CANCEL_GRACE
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """A lease so long that no heartbeat comes in between; and handlers in threads have two seconds."""
    given: dict[str, Any] = QUICK | {"worker_lease": 3600, "worker_cancel_grace": 2}
    if request.param == "memory":
        return Settings(in_memory=True, **given)
    return Settings(database_url=request.getfixturevalue("database_url"), **given)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads of a test wait for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


class Handlers:
    """Handlers that note what they see."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.seen: list[Any] = []

    async def waits(self, payload: Any, context: TaskContext) -> str:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append((context.is_cancelled(), context.is_shutting_down()))
            raise
        return "slept"

    def asks(self, payload: Any, context: TaskContext) -> str:
        self.began.set()
        while not context.is_cancelled():
            time.sleep(0.01)
        self.seen.append((context.is_cancelled(), context.is_shutting_down()))
        return "put everything in order"

    def checks(self, payload: Any, context: TaskContext) -> None:
        self.began.set()
        while True:
            try:
                context.check()
            except AttemptCancelled:
                self.seen.append((context.is_cancelled(), context.is_shutting_down()))
                raise
            time.sleep(0.01)

    def named(self, name: str) -> Any:
        return getattr(self, name)


@contextlib.asynccontextmanager
async def cancelled(rig: Rig, handlers: Handlers, task: WorkerTask) -> AsyncIterator[Any]:
    """A worker at work on *task*, which was cancelled the moment its handler had begun."""
    async with rig.working() as worker:
        await soon(handlers.began.is_set, what="the handler has begun")
        answer = rig.tasks.cancel_task().execute(task.id, reason="nobody wants it")
        assert TaskStatus.RUNNING is answer.status
        assert answer.cancel_requested_at is not None
        yield worker


def assert_cancelled(task: WorkerTask) -> None:
    assert (TaskStatus.CANCELLED, "nobody wants it") == (task.status, task.error)
    assert task.finished_at is not None
    assert task.cancel_requested_at is None


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


async def test_a_thread_that_does_not_ask_keeps_its_slot_for_the_grace_and_is_then_left(
    rig: Rig, gate: threading.Event
) -> None:
    """As after a timeout: the task is cancelled without it, and what it returns in the end changes nothing."""
    handlers, after = Handlers(), list[bool]()

    def hangs(payload: Any, context: TaskContext) -> str:
        handlers.began.set()
        gate.wait()
        after.append(context.is_cancelled())
        return "too late"

    rig.define("hangs", hangs)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        await soon(lambda: rig.find(task).cancel_requested_at is not None, what="the mark is there")
        assert (0, 0) == (worker.left_behind, worker.finished)
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert time.monotonic() - began > 1.5  # the grace is 2 s
        assert 1 == worker.left_behind
        gate.set()
        await soon(lambda: worker.left_behind == 0, what="the thread has ended")

    assert_cancelled(found)
    assert [True] == after
    assert TaskStatus.CANCELLED is rig.find(task).status


async def test_a_coroutine_that_swallows_it_is_left_a_second_later(rig: Rig) -> None:
    """Its grace is that of a timeout, not that of a thread."""
    handlers, enough = Handlers(), asyncio.Event()

    async def stubborn(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        while not enough.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await enough.wait()

    rig.define("stubborn", stubborn)
    task = rig.enqueue("stubborn")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert time.monotonic() - began >= CANCEL_GRACE - 0.1
        assert 1 == worker.left_behind
        enough.set()
        await soon(lambda: worker.left_behind == 0, what="the coroutine has ended")

    assert_cancelled(found)


@pytest.mark.parametrize("how", ["timeout", "shutdown", "again"])
async def test_what_comes_during_the_grace_does_not_change_the_end(rig: Rig, gate: threading.Event, how: str) -> None:
    """The hard timeout ends the grace, so does the end of a worker's own; told again, nothing happens."""
    handlers = Handlers()

    def hangs(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        gate.wait()

    rig.define("hangs", hangs, timeout=0.5 if how == "timeout" else 60, max_attempts=1)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        began = time.monotonic()
        if how == "shutdown":
            worker.stop()
            worker.stop()
        if how == "again":
            assert rig.find(task) is not None
            again = rig.tasks.cancel_task().execute(task.id, reason="another reason")
            assert ("nobody wants it", TaskStatus.RUNNING) == (again.error, again.status)
        found = await rig.until(task, TaskStatus.CANCELLED)
        took = time.monotonic() - began

    assert_cancelled(found)
    assert [] == found.errors
    assert (took > 1.5) == (how == "again")


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


async def test_being_told_again_does_not_disturb_a_handler_on_its_way_out(rig: Rig) -> None:
    """By notification first, then by each heartbeat: it is cancelled once, and has its second to put things in order."""
    handlers, tidied = Handlers(), list[str]()

    async def tidies(payload: Any, context: TaskContext) -> None:
        handlers.began.set()
        try:
            await asyncio.sleep(60)
        finally:
            handlers.seen.append("cancelled")
            await asyncio.sleep(0.5)
            tidied.append("tidied")

    rig.define("job", tidies)
    task = rig.enqueue("job")
    async with cancelled(rig, handlers, task) as worker:
        await soon(lambda: bool(handlers.seen), what="it is on its way out")
        for _ in range(3):
            rig.tasks.unit_of_work().run(lambda tx: tx.interrupt([task.id]))
            await asyncio.sleep(0.05)
        found = await rig.until(task, TaskStatus.CANCELLED)
        assert 0 == worker.left_behind

    assert_cancelled(found)
    assert (["cancelled"], ["tidied"]) == (handlers.seen, tidied)


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


async def test_a_cancelled_task_that_is_run_here_says_so(settings: Settings) -> None:
    """run_task hears of it by its heartbeat alone; the outcome is no success."""
    handlers, jobs = Handlers(), JobCatalog()
    quick = settings.replaced(worker_lease=1)
    tasks = TaskQueueContainer(settings=quick, jobs=jobs)
    jobs.define("job")(handlers.waits)
    jobs.define("polite")(handlers.asks)
    for type in ("job", "polite"):
        handlers.began.clear()
        task = tasks.enqueue_task().execute(type=type)
        running = asyncio.create_task(tasks.run_task().aexecute(task.id))
        await soon(handlers.began.is_set, what="the handler has begun")
        tasks.cancel_task().execute(task.id, reason="nobody wants it")
        outcome = await asyncio.wait_for(running, 10)

        assert_cancelled(outcome.task)
        assert f"TaskDidNotComplete: task {task.id} has cancelled: nobody wants it" == (
            f"{type_name(outcome.error)}: {outcome.error}"
        )
        assert outcome.result is None
    await tasks.aclose()


async def test_a_tick_hears_of_it_too(settings: Settings) -> None:
    """By the heartbeat that it has; it goes on with the rest of what is due."""
    handlers, jobs = Handlers(), JobCatalog()
    tasks = TaskQueueContainer(settings=settings.replaced(worker_lease=1, worker_concurrency=1), jobs=jobs)
    jobs.define("job")(handlers.waits)
    jobs.define("next")(lambda payload, context: "ran")
    task = tasks.enqueue_task().execute(type="job", priority=1)
    next_one = tasks.enqueue_task().execute(type="next")
    ticking = asyncio.create_task(tasks.worker().tick(budget=60))
    await soon(handlers.began.is_set, what="the handler has begun")

    tasks.cancel_task().execute(task.id, reason="nobody wants it")
    await asyncio.wait_for(ticking, 20)

    assert_cancelled(tasks.find_task().execute(task.id))
    assert "ran" == tasks.find_task().execute(next_one.id).result
    await tasks.aclose()


async def test_a_lease_that_is_lost_during_the_grace_ends_it(settings: Settings, gate: threading.Event) -> None:
    """The attempt is left at once, and whoever ends the task, ends it cancelled: it is not run again."""
    handlers, jobs = Handlers(), JobCatalog()
    tasks = TaskQueueContainer(settings=settings.replaced(worker_lease=1, worker_cancel_grace=600), jobs=jobs)
    rig = Rig(tasks, jobs)

    def hangs(payload: Any, context: TaskContext) -> None:
        handlers.seen.append(context.task.attempts)
        handlers.began.set()
        gate.wait()

    rig.define("hangs", hangs, max_attempts=5)
    task = rig.enqueue("hangs")
    async with cancelled(rig, handlers, task) as worker:
        before = worker.id
        tasks.unit_of_work().run(lambda tx: tx.workers.remove(before))
        await soon(lambda: worker.id != before, what="the worker comes back under a new id")
        assert 1 == worker.left_behind
        found = await rig.until(task, TaskStatus.CANCELLED, within=30)

    assert_cancelled(found)
    assert [1] == handlers.seen
    gate.set()
    await tasks.aclose()


def type_name(error: BaseException | None) -> str:
    return type(error).__name__
