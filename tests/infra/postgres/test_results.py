"""Waiting for results in PostgreSQL: what is announced, over how many connections, and what an outage costs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from app import JobCatalog, TaskDidNotComplete, TaskQueueContainer
from app.domain.results import Ended
from app.infra.postgres.herald import Herald
from app.infra.postgres.hints import WAITING, Hints
from app.infra.settings import Settings
from app.usecases import results
from tests.examples import new_ids
from tests.faults.waiting import soon
from tests.server import OwnServer
from tests.worker.running import Rig

LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN \"worker_results\"'"
LONG = 300.0


@asynccontextmanager
async def a_rig(url: str) -> AsyncIterator[Rig]:
    """One process of an application, with a job that answers, and one that fails."""
    jobs = JobCatalog()

    @jobs.define("answer")
    async def answer(payload: Any, context: Any) -> Any:
        return payload

    @jobs.define("fail", max_attempts=1)
    async def fail(payload: Any, context: Any) -> Any:
        raise ValueError(payload)

    settings = Settings(database_url=url, worker_poll_interval=0.5, worker_shutdown_grace=2)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    try:
        yield Rig(tasks, jobs)
    finally:
        await tasks.aclose()


@pytest.fixture
async def producer(database_url: str) -> AsyncIterator[Rig]:
    async with a_rig(database_url) as rig:
        yield rig


@pytest.fixture
async def consumer(database_url: str) -> AsyncIterator[Rig]:
    async with a_rig(database_url) as rig:
        yield rig


@pytest.fixture
def announced(database_url: str) -> Iterator[Callable[[], list[str]]]:
    """All that was said to those who wait, up to now."""
    with psycopg.connect(database_url, autocommit=True) as ear, psycopg.connect(database_url, autocommit=True) as mouth:
        ear.execute("LISTEN worker_results")

        def heard() -> list[str]:
            mouth.execute("NOTIFY worker_results, 'until now'")
            payloads: list[str] = []
            while "until now" not in payloads:
                payloads += [one.payload for one in ear.notifies(timeout=0.1)]
            return [payload for payload in payloads if payload != "until now" and not payload.startswith("\x01")]

        yield heard


@pytest.fixture
def rarely_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes within a test did not come by polling."""
    monkeypatch.setattr(results, "FIRST_STEP", LONG)
    monkeypatch.setattr(results, "LONGEST_STEP", LONG)


def hears(rig: Rig) -> bool:
    """Whether the worker of *rig* has been asked to announce what ends."""
    return bool(rig.tasks.herald().is_waited_for())


async def test_nothing_is_announced_while_nobody_waits(consumer: Rig, announced: Callable[[], list[str]]) -> None:
    """What ends is told to those who listen only when they asked."""
    for _ in range(20):
        consumer.enqueue("answer")
    await consumer.tasks.worker().drain()
    await consumer.tasks.herald().aflush()

    assert [] == await asyncio.to_thread(announced)


async def test_an_end_is_announced_to_whoever_waits(
    producer: Rig, consumer: Rig, announced: Callable[[], list[str]], rarely_looking: None
) -> None:
    """Completed, failed or cancelled, the result is there without polling, from one process to the other."""
    answer, fail = producer.jobs.get("answer"), producer.jobs.get("fail")
    assert answer
    assert fail
    first = await answer.aenqueue(0, delay=LONG)
    async with consumer.working() as worker:
        await soon(lambda: worker._notifications.hears, what="the worker listens")
        waiting = asyncio.create_task(first.aresult(LONG))
        await soon(lambda: hears(consumer), what="the worker knows that somebody waits")
        completed, failed = await answer.aenqueue({"a": 1}), await fail.aenqueue("no")
        ends = asyncio.gather(completed.aresult(LONG), failed.aresult(LONG), return_exceptions=True)
        result, error = await asyncio.wait_for(ends, 20)
        await consumer.tasks.cancel_task().aexecute(first.id)
        with pytest.raises(TaskDidNotComplete):
            await asyncio.wait_for(waiting, 20)
        await consumer.tasks.herald().aflush()

    assert ({"a": 1}, TaskDidNotComplete) == (result, type(error))
    said = await asyncio.to_thread(announced)
    assert {completed.id.hex, failed.id.hex, first.id.hex} == set(",".join(filter(None, said)).split(",")) - {""}


async def test_a_notification_that_is_lost_costs_a_second_at_most(producer: Rig, consumer: Rig) -> None:
    """Looking is the truth: a process that hears nothing finds out all the same."""

    class Deaf:
        def start(self, on_end: Callable[[Ended], None]) -> None: ...
        def ask(self) -> None: ...
        def stop(self) -> None: ...

    producer.tasks.result_notifications.override(Deaf())
    answer = producer.jobs.get("answer")
    assert answer
    async with consumer.working():
        handles = await answer.aenqueue_many(list(range(20)))
        found = await asyncio.gather(*(handle.aresult(20) for handle in handles))

    assert list(range(20)) == found


async def test_a_process_listens_once_however_many_wait(producer: Rig, engine: Engine) -> None:
    """Threads and coroutines share one connection, made when first needed and closed with the container."""
    answer = producer.jobs.get("answer")
    assert answer
    handles = await answer.aenqueue_many(list(range(30)))

    def listening() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text(LISTENING)).scalar_one())

    before = listening()
    waiting = [asyncio.create_task(handle.aresult(60)) for handle in handles[:15]]
    threads = [threading.Thread(target=handle.result, args=(60,)) for handle in handles[15:]]
    for thread in threads:
        thread.start()
    await soon(lambda: listening() > 0, what="it listens")
    await producer.tasks.worker().drain()
    await asyncio.gather(*waiting)
    for thread in threads:
        await asyncio.to_thread(thread.join)
    after = listening()
    await producer.tasks.aclose()
    await soon(lambda: listening() == 0, what="the connection is closed")

    assert (0, 1) == (before, after)


async def test_an_outage_is_waited_through(
    own_server: Callable[..., OwnServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database comes back, the listener with it, and what ends later is announced again."""
    server = own_server()
    async with a_rig(server.url) as producer, a_rig(server.url) as consumer:
        producer.tasks.migrations().upgrade()
        answer = producer.jobs.get("answer")
        assert answer
        one, other = await answer.aenqueue(1), await answer.aenqueue(2, delay=LONG)
        waiting = [asyncio.create_task(handle.aresult(LONG)) for handle in (one, other)]
        waiter = producer.tasks.result_waiter()
        await soon(lambda: waiter._asked_at > 0, what="it listens, and has said so")

        await asyncio.to_thread(server.restart)
        async with consumer.working() as worker:
            await soon(lambda: worker._notifications.hears, within=30, what="the worker listens")
            result = await asyncio.wait_for(waiting[0], 30)
            await soon(lambda: hears(consumer), within=30, what="the worker has heard of it")
            monkeypatch.setattr(results, "LONGEST_STEP", LONG)
            await consumer.tasks.cancel_task().aexecute(other.id)
            with pytest.raises(TaskDidNotComplete):
                await asyncio.wait_for(waiting[1], 30)

    assert 1 == result


def test_many_ends_are_announced_in_few_words(engine: Engine, announced: Callable[[], list[str]]) -> None:
    """At most eight thousand bytes a payload, and beyond a thousand ids nothing but a hint to look at all."""
    herald = Herald(lambda: engine, lambda: None)
    many, too_many = new_ids(450), new_ids(1001)

    herald.tell(Hints(ended=many))
    herald.flush()
    said = announced()
    herald.tell(Hints(ended=too_many))
    herald.flush()

    assert sorted(one.hex for one in many) == sorted(",".join(said).split(","))
    assert 3 == len(said)
    assert max(map(len, said)) < 8000
    assert [""] == announced()


async def test_a_request_for_announcements_wakes_no_worker(consumer: Rig) -> None:
    """It is no name of a queue."""
    async with consumer.working() as worker:
        await soon(lambda: worker._notifications.hears, what="it listens")
        woken: list[str] = []
        listener: Any = worker._notifications
        wake, listener._on_wake = listener._on_wake, woken.append
        consumer.tasks.herald().tell(Hints([WAITING, "mail"]))
        await soon(lambda: woken, what="it heard")
        listener._on_wake = wake

    assert (["mail"], True) == (woken, hears(consumer))
