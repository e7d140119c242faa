"""Running a worker inside another program: on any engine and thread, until it is stopped or nothing is due."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app import Constant, JobCatalog, SchemaMismatch, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import eventually, soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def test_drain_returns_the_number_of_attempts(rig: Rig) -> None:
    """Retries that fall due at once are among them; what is due later stays for later."""

    async def fails_twice(payload: Any, context: TaskContext) -> None:
        if context.task.attempts < 3:
            raise ValueError

    rig.define("echo", echo)
    rig.define("fails", fails_twice, retry=Constant(0))
    tasks = [rig.enqueue("echo", number) for number in range(12)] + [rig.enqueue("fails")]
    later = rig.enqueue("echo", delay=600)

    assert 12 + 3 == await rig.tasks.worker().drain()

    assert {TaskStatus.COMPLETED} == {rig.find(task).status for task in tasks}
    assert TaskStatus.PENDING is rig.find(later).status
    assert 0 == await rig.tasks.worker().drain()


async def test_drain_runs_what_its_handlers_enqueue(rig: Rig) -> None:
    """Nothing is due any more only when they have all been run, too."""

    def again(left: int, context: TaskContext) -> None:
        if left:
            rig.enqueue("again", left - 1)

    rig.define("again", again)
    rig.enqueue("again", 10)

    assert 11 == await rig.tasks.worker().drain()


async def test_drain_refills_a_freed_slot_while_others_are_busy(rig: Rig) -> None:
    """One long task does not hold up fifty short ones, though the poll interval would."""
    done = asyncio.Event()
    count = 0

    async def long(payload: Any, context: TaskContext) -> None:
        await done.wait()

    async def short(payload: Any, context: TaskContext) -> None:
        nonlocal count
        await asyncio.sleep(0.001 * (payload % 3))
        count += 1
        if count == 50:
            done.set()

    tasks = TaskQueueContainer(
        settings=rig.tasks.settings().replaced(worker_poll_interval=30, worker_concurrency=3), jobs=rig.jobs
    )
    rig.define("long", long)
    rig.define("short", short)
    other = Rig(tasks, rig.jobs)
    other.enqueue("long")
    for number in range(50):
        other.enqueue("short", number)

    async with asyncio.timeout(10):
        assert 51 == await tasks.worker().drain()
    await tasks.aclose()


async def test_drain_begins_a_retry_when_it_is_due_though_others_are_busy(rig: Rig) -> None:
    """It does not wait for the end of a long task, nor for a poll."""
    retried = asyncio.Event()

    async def long(payload: Any, context: TaskContext) -> None:
        await retried.wait()

    async def flaky(payload: Any, context: TaskContext) -> None:
        if context.task.attempts == 1:
            raise ValueError
        retried.set()

    settings = rig.tasks.settings().replaced(worker_poll_interval=30)
    tasks = TaskQueueContainer(settings=settings, jobs=rig.jobs)
    other = Rig(tasks, rig.jobs)
    other.define("long", long)
    other.define("flaky", flaky, retry=Constant(0.3))
    other.enqueue("long")
    other.enqueue("flaky")

    async with asyncio.timeout(10):
        assert 3 == await tasks.worker().drain()
    await tasks.aclose()


async def test_stop_may_be_called_from_any_thread(rig: Rig) -> None:
    """The run ends in good order: what is running is finished first."""
    began = threading.Event()

    async def short(payload: Any, context: TaskContext) -> str:
        began.set()
        await asyncio.sleep(0.3)
        return "finished"

    rig.define("short", short)
    worker = rig.tasks.worker()
    task = rig.enqueue("short")

    def stop_when_begun() -> None:
        assert began.wait(10)
        worker.stop()

    stopping = threading.Thread(target=stop_when_begun)
    stopping.start()
    async with asyncio.timeout(10):
        await worker.run()
    stopping.join()

    assert "finished" == rig.find(task).result


async def test_a_worker_stopped_before_it_ran_does_not_begin(rig: Rig) -> None:
    """The wish is remembered."""
    rig.define("echo", echo)
    task = rig.enqueue("echo")
    worker = rig.tasks.worker()
    worker.stop()

    async with asyncio.timeout(10):
        await worker.run()

    assert TaskStatus.PENDING is rig.find(task).status


async def test_a_second_stop_hurries(rig: Rig) -> None:
    """What runs is given back at once, with no attempt spent."""

    async def long(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(600)

    rig.define("long", long)
    task = rig.enqueue("long")
    async with rig.working() as worker:
        await rig.until(task, TaskStatus.RUNNING)
        worker.stop()
        worker.stop()

    found = rig.find(task)
    assert (TaskStatus.PENDING, 0, None) == (found.status, found.attempts, found.worker_id)


async def test_a_cancelled_run_gives_everything_back(rig: Rig) -> None:
    """An application that cancels the coroutine instead of stopping the worker loses nothing either."""

    async def long(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(600)

    rig.define("long", long)
    task = rig.enqueue("long")
    running = asyncio.create_task(rig.tasks.worker().run())
    await rig.until(task, TaskStatus.RUNNING)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await running

    found = rig.find(task)
    assert (TaskStatus.PENDING, 0) == (found.status, found.attempts)
    assert [] == list(rig.tasks.check_queue().execute().workers)


def test_a_worker_runs_outside_the_main_thread(database_url: str) -> None:
    """There it leaves the signals alone, and stop() works as ever."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, **QUICK), jobs=jobs)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    worker = tasks.worker()

    async def work() -> None:
        await worker.run()
        await tasks.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    task = tasks.enqueue_task().execute(type="echo", payload=5)
    eventually(
        lambda: tasks.find_task().execute(task.id).status is TaskStatus.COMPLETED, what="the thread's worker runs it"
    )
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    worker.stop()
    thread.join(10)

    assert not thread.is_alive()
    tasks.close()


async def test_a_worker_puts_the_signals_back(rig: Rig) -> None:
    """An application's own handlers are there again when the run has ended."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    rig.define("echo", echo)

    async with rig.working():
        await rig.until(rig.enqueue("echo"), TaskStatus.COMPLETED)
        assert before != (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))

    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


@asynccontextmanager
async def sync_engine(url: str) -> AsyncIterator[dict[str, Any]]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    yield {"engine": engine}
    engine.dispose()


@asynccontextmanager
async def psycopg2_engine(url: str) -> AsyncIterator[dict[str, Any]]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
    yield {"engine": engine}
    engine.dispose()


@asynccontextmanager
async def async_engine(url: str) -> AsyncIterator[dict[str, Any]]:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"))
    yield {"engine": engine}
    await engine.dispose()


@asynccontextmanager
async def both_engines(url: str) -> AsyncIterator[dict[str, Any]]:
    async with sync_engine(url) as one, async_engine(url) as other:
        yield one | {"async_engine": other["engine"]}


@pytest.mark.parametrize("engines", [sync_engine, psycopg2_engine, async_engine, both_engines])
async def test_a_worker_runs_on_the_engines_it_gets(
    database_url: str, engines: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Alone or together: tasks are run, wake-ups heard, failures retried, and the engines are not disposed of."""
    jobs = JobCatalog()
    settings = Settings(**QUICK | {"worker_poll_interval": 30})
    async with engines(database_url) as given:
        tasks = TaskQueueContainer(settings=settings, jobs=jobs, **given)
        rig = Rig(tasks, jobs)
        rig.define("echo", echo)
        rig.define("thread", lambda payload, context: payload, retry=Constant(0))
        async with rig.working():
            await soon(
                lambda: [True] == [one.hears_notifications for one in tasks.check_queue().execute().workers],
                what="the worker hears notifications",
                within=15,
            )
            found = [
                await rig.until(rig.enqueue(type, number), TaskStatus.COMPLETED, within=5)
                for number in range(5)
                for type in ("echo", "thread")
            ]
        await tasks.aclose()
        assert [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] == [task.result for task in found]
        assert "broke" not in caplog.text


async def test_a_worker_refuses_a_database_without_its_schema(empty_database_url: str) -> None:
    """It says what to run, and runs nothing."""
    tasks = TaskQueueContainer(settings=Settings(database_url=empty_database_url, **QUICK), jobs=JobCatalog())

    with pytest.raises(SchemaMismatch, match="python -m app migrate"):
        await tasks.worker().run()

    await tasks.aclose()
