"""Tick: what is due is run within a budget, and nothing of the worker is left afterwards."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from app import (
    Constant,
    DatabaseUnavailable,
    InvalidInput,
    JobCatalog,
    SchemaMismatch,
    Snooze,
    TaskContext,
    TaskQueueContainer,
    TaskStatus,
    WorkerTask,
)
from app.infra.settings import Settings
from app.usecases.tasks.claim import ClaimTask
from app.usecases.workers import RegisterWorker
from app.worker.worker import Worker
from tests.examples import a_node
from tests.faults.waiting import eventually, measured, soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def forever(payload: Any, context: TaskContext) -> None:
    await asyncio.sleep(3600)


def assert_nothing_is_left(rig: Rig) -> None:
    """No worker is registered, and nothing runs."""
    assert [] == list(rig.tasks.check_queue().execute().workers)
    assert 0 == rig.tasks.get_task_stats().execute().running


def ours() -> set[threading.Thread]:
    """The threads of a worker; the container's own (of its pools, its herald) are not among them."""
    names = ("app-handler", "app-heartbeat", "app-verify", "app-upkeep", "app-listener")
    return {thread for thread in threading.enumerate() if thread.name.startswith(names)}


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
    await asyncio.sleep(0.06)  # by the database's clock, which no test moves

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


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent on the ``engine``, in order."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_a_tick_with_nothing_to_do_costs_two_statements(engine: Engine, statements: list[str]) -> None:
    """Both read. The first ever of a process asks for the isolation level as well, as every verb does."""
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=JobCatalog())
    tasks.jobs().define("echo")(echo)
    tasks.enqueue_task().execute(type="echo", delay=600)

    await tasks.worker().tick()
    first = len(statements)
    statements.clear()
    assert 0 == await tasks.worker().tick()

    measured(f"an idle tick: {len(statements)} statements ({first} with the enqueueing and the first)")
    assert ["SELECT", "WITH"] == [one.split()[0] for one in statements]
    await tasks.aclose()


async def test_a_tick_with_one_task_costs_a_few_statements(engine: Engine, statements: list[str]) -> None:
    """Look twice, register, promote, claim, settle, look again, sign off; the schema is looked at once a worker."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=jobs)
    worker = tasks.worker()
    for _ in range(2):
        tasks.enqueue_task().execute(type="echo")
        tasks.herald().flush()
        statements.clear()
        assert 1 == await worker.tick()

    measured(f"a tick with one task: {len(statements)} statements")
    assert 8 == len(statements)
    await tasks.aclose()


async def test_a_tick_does_not_wait_for_an_absent_database() -> None:
    """Whoever calls by the clock calls again."""
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", **QUICK)
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)

    with pytest.raises(DatabaseUnavailable):
        await tasks.worker().tick(budget=5)
    await tasks.aclose()


async def test_a_tick_refuses_a_database_without_its_schema(empty_database_url: str) -> None:
    """It says what to run."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=Settings(database_url=empty_database_url, **QUICK), jobs=jobs)

    with pytest.raises(SchemaMismatch, match="python -m app migrate"):
        await tasks.worker().tick()
    await tasks.aclose()


async def test_a_tick_listens_to_nothing(database_url: str) -> None:
    """No LISTEN connection: those cost where connections are few."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, **QUICK), jobs=jobs)
    seen: list[str] = []

    async def look(payload: Any, context: TaskContext) -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            cursor = await connection.execute("SELECT query FROM pg_stat_activity WHERE datname = current_database()")
            seen.extend(query for (query,) in await cursor.fetchall())

    jobs.define("look")(look)
    await tasks.enqueue_task().aexecute(type="look")

    assert 1 == await tasks.worker().tick()

    assert seen
    assert [] == [query for query in seen if query.upper().startswith("LISTEN")]
    await tasks.aclose()


def test_a_tick_runs_outside_the_main_thread(database_url: str) -> None:
    """There it leaves the signals alone."""
    jobs = JobCatalog()
    jobs.define("echo")(echo)
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, **QUICK), jobs=jobs)
    task = tasks.enqueue_task().execute(type="echo", payload=5)
    counts: list[int] = []
    worker: Worker = tasks.worker()

    thread = threading.Thread(target=lambda: counts.append(asyncio.run(worker.tick())))
    thread.start()
    thread.join(30)

    assert [1] == counts
    eventually(lambda: tasks.find_task().execute(task.id).status is TaskStatus.COMPLETED, what="it has run")
    tasks.close()
