"""Outages: what a caller is told while the database is away, and what works again by itself."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app import DatabaseUnavailable, JobCatalog, NewTask, TaskQueueContainer, TaskStatus
from app.infra.postgres.herald import flush_all
from app.infra.settings import Settings
from tests.infra.postgres.callers import ASYNC_DRIVERS, SYNC_DRIVERS, TYPE, async_engine_of, engine_of
from tests.infra.postgres.proxy import LOCK, Proxy
from tests.server import OwnServer


async def test_enqueueing_fails_clearly_while_the_server_is_away_and_works_after(
    own_server: Callable[..., OwnServer],
) -> None:
    """
    With every kind of engine: one sentence then, and no leftover connection spoils what comes after the restart.
    """
    server = own_server()
    async with async_engine_of(server.url, "psycopg") as one, async_engine_of(server.url, "asyncpg") as other:
        with engine_of(server.url, "psycopg") as sync_one, engine_of(server.url, "psycopg2") as sync_other:
            own = TaskQueueContainer(settings=Settings(database_url=server.url), jobs=JobCatalog())
            given = [TaskQueueContainer(engine=e, jobs=JobCatalog()) for e in (one, other, sync_one, sync_other)]
            queues = [own, *given]
            own.migrations().upgrade()

            # Several connections in every pool, all of which the restart will break.
            await asyncio.gather(*(queue.enqueue_task().aexecute(type=TYPE) for queue in queues * 3))
            for queue in queues:
                await asyncio.gather(*(asyncio.to_thread(queue.enqueue_task().execute, type=TYPE) for _ in range(3)))
            server.stop()
            errors = []
            for queue in queues * 2:
                with pytest.raises(DatabaseUnavailable) as refused:
                    queue.enqueue_task().execute(type=TYPE)
                errors.append(refused.value)
                with pytest.raises(DatabaseUnavailable) as refused:
                    await queue.enqueue_task().aexecute(type=TYPE)
                errors.append(refused.value)
            server.start()
            for queue in queues:
                queue.enqueue_task().execute(type=TYPE)
                await queue.enqueue_task().aexecute(type=TYPE)
            total = own.get_task_stats().execute().total
            for queue in queues:
                await queue.aclose()

    assert {(1, False)} == {(len(str(error).splitlines()), error.outcome_unknown) for error in errors}
    assert len(queues) * (3 + 3 + 2) == total


async def test_a_restart_that_nobody_noticed_costs_no_call(own_server: Callable[..., OwnServer]) -> None:
    """
    The pools hold broken connections, and the very next call works all the same.
    """
    server = own_server()
    async with async_engine_of(server.url, "psycopg") as one, async_engine_of(server.url, "asyncpg") as other:
        with engine_of(server.url, "psycopg") as sync_one, engine_of(server.url, "psycopg2") as sync_other:
            own = TaskQueueContainer(settings=Settings(database_url=server.url), jobs=JobCatalog())
            given = [TaskQueueContainer(engine=e, jobs=JobCatalog()) for e in (one, other, sync_one, sync_other)]
            queues = [own, *given]
            own.migrations().upgrade()
            for mode in ("immediate", "fast"):
                await asyncio.gather(*(queue.enqueue_task().aexecute(type=TYPE) for queue in queues * 3))
                server.restart(mode)
                for queue in queues:
                    queue.enqueue_task().execute(type=TYPE)
                    await queue.enqueue_task().aexecute(type=TYPE)
            total = own.get_task_stats().execute().total
            for queue in queues:
                await queue.aclose()

    assert 2 * len(queues) * (3 + 2) == total


def test_a_joined_call_says_that_the_database_is_away(database_url: str) -> None:
    """
    The caller's transaction is lost with its connection, and its next one works.
    """
    with Proxy(database_url) as proxy, engine_of(proxy.url()) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
        with Session(engine) as session:
            tasks.enqueue_task().execute_in(session, type=TYPE)
            proxy.cut()
            with pytest.raises(DatabaseUnavailable) as refused:
                tasks.enqueue_task().execute_in(session, type=TYPE)
            session.rollback()
            tasks.enqueue_task().execute_in(session, type=TYPE)
            session.commit()

        assert (False, 1) == (refused.value.outcome_unknown, tasks.get_task_stats().execute().total)


@pytest.mark.parametrize("driver", SYNC_DRIVERS)
def test_a_session_that_cannot_connect_says_so(driver: str) -> None:
    """
    A Session connects when it is first used, which may be by us.
    """
    with engine_of("postgresql://nobody@127.0.0.1:1/nowhere", driver) as engine, Session(engine) as session:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())

        with pytest.raises(DatabaseUnavailable, match="refused"):
            tasks.enqueue_task().execute_in(session, type=TYPE)


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
async def test_an_async_session_that_cannot_connect_says_so(driver: str) -> None:
    """
    asyncpg has other errors for it.
    """
    async with async_engine_of("postgresql://nobody@127.0.0.1:1/nowhere", driver) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())

        async with AsyncSession(engine) as session:
            with pytest.raises(DatabaseUnavailable, match=r"refused|Connect call failed"):
                await tasks.enqueue_task().aexecute_in(session, type=TYPE)


def read(orders: Path) -> Iterator[NewTask]:
    with orders.open() as lines:
        yield from (NewTask(type=line) for line in lines)


def test_an_error_of_the_callers_own_is_not_taken_for_an_outage(engine: Engine) -> None:
    """
    Bulk enqueue reads what it is given while its transaction is open; a file that is missing is a missing file.
    """
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())

    with pytest.raises(FileNotFoundError):
        tasks.enqueue_tasks().execute(read(Path("/nowhere")))

    assert 0 == tasks.get_task_stats().execute().total


ORDER = re.compile(TYPE.encode())
"""In every message that enqueues; the words of the statement are not, once a driver has it prepared."""


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture(params=SYNC_DRIVERS)
def engine(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Engine]:
    with engine_of(proxy.url(), request.param) as engine:
        yield engine


@pytest.fixture(params=ASYNC_DRIVERS)
async def async_engine(request: pytest.FixtureRequest, proxy: Proxy) -> AsyncIterator[AsyncEngine]:
    async with async_engine_of(proxy.url(), request.param) as engine:
        yield engine


@pytest.mark.parametrize("deliver", [True, False], ids=["the answer is lost", "the commit is lost"])
def test_a_commit_that_breaks_is_of_unknown_outcome(engine: Engine, proxy: Proxy, deliver: bool) -> None:
    """
    An enqueue is one statement, which commits itself. It may be stored or not, so it is not tried again behind the
    caller's back, and the error says so.
    """
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    tasks.enqueue_task().execute(type=TYPE)
    proxy.deliver, proxy.cut_at = deliver, ORDER

    with pytest.raises(DatabaseUnavailable) as refused:
        tasks.enqueue_tasks().execute([NewTask(type=TYPE), NewTask(type=TYPE)])

    assert (True, 1 + 2 * deliver) == (refused.value.outcome_unknown, tasks.get_task_stats().execute().total)
    assert "it is unknown whether the work was stored" in str(refused.value)


@pytest.mark.parametrize("deliver", [True, False], ids=["the answer is lost", "the commit is lost"])
async def test_an_awaited_commit_that_breaks_is_of_unknown_outcome(
    async_engine: AsyncEngine, proxy: Proxy, deliver: bool
) -> None:
    """
    The same for asynchronous engines.
    """
    tasks = TaskQueueContainer(engine=async_engine, jobs=JobCatalog())
    await tasks.enqueue_task().aexecute(type=TYPE)
    proxy.deliver, proxy.cut_at = deliver, ORDER

    with pytest.raises(DatabaseUnavailable) as refused:
        await tasks.enqueue_tasks().aexecute([NewTask(type=TYPE), NewTask(type=TYPE)])

    total = (await tasks.get_task_stats().aexecute()).total
    await tasks.aclose()
    assert (True, 1 + 2 * deliver) == (refused.value.outcome_unknown, total)


def test_work_that_breaks_before_its_commit_is_done_again_once(engine: Engine, proxy: Proxy) -> None:
    """
    Nothing of it was stored, so that is safe, and the caller notices nothing.
    """
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    task = tasks.enqueue_task().execute(type=TYPE)
    proxy.cut_at = LOCK

    cancelled = tasks.cancel_task().execute(task.id)

    assert (1, TaskStatus.CANCELLED) == (proxy.cuts, cancelled.status)
    assert 1 == tasks.get_task_stats().execute().cancelled


def test_connections_that_died_in_the_pool_are_replaced_unnoticed(engine: Engine, proxy: Proxy) -> None:
    """
    Three of them, as after a restart of the server; each verb gets a new one, also one that needs no transaction.
    """
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    with engine.connect(), engine.connect(), engine.connect():
        tasks.enqueue_task().execute(type=TYPE)
    flush_all()
    proxy.cut()

    tasks.enqueue_task().execute(type=TYPE)

    assert 2 == tasks.get_task_stats().execute().total


async def test_awaited_connections_that_died_in_the_pool_are_replaced_unnoticed(
    async_engine: AsyncEngine, proxy: Proxy
) -> None:
    """
    The same for asynchronous engines.
    """
    tasks = TaskQueueContainer(engine=async_engine, jobs=JobCatalog())
    async with async_engine.connect() as one, async_engine.connect():
        driver: Any = (await one.get_raw_connection()).driver_connection
        await tasks.enqueue_task().aexecute(type=TYPE)
    await tasks.herald().aflush()
    proxy.cut()

    while hasattr(driver, "is_closed") and not driver.is_closed():  # noqa: ASYNC110
        await asyncio.sleep(0)

    await tasks.enqueue_task().aexecute(type=TYPE)

    total = (await tasks.get_task_stats().aexecute()).total
    await tasks.aclose()
    assert 2 == total
