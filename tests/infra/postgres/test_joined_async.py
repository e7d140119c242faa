"""Joined transactions of asynchronous applications, with every driver and kind of session and connection."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import NewTask, TaskStatus
from tests.infra.postgres.callers import ASYNC_DRIVERS, ASYNC_KINDS, TYPE, Shop, async_engine_of, async_opened, tells


@pytest.fixture(params=ASYNC_DRIVERS)
async def engine(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[AsyncEngine]:
    """The application's engine, once with each driver."""
    async with async_engine_of(database_url, request.param) as engine:
        yield engine


@pytest.fixture(params=ASYNC_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What the application hands in."""
    kind: str = request.param
    return kind


@pytest.fixture
async def shop(engine: AsyncEngine) -> AsyncIterator[Shop]:
    shop = Shop(engine=engine)
    yield shop
    await shop.tasks.aclose()


async def test_a_task_is_there_once_its_transaction_commits(shop: Shop, kind: str, engine: AsyncEngine) -> None:
    """
    Nobody sees it earlier, and its event is told then; a bare connection's never.
    """
    async with async_opened(kind, engine) as session:
        task = await shop.tasks.enqueue_task().aexecute_in(session, type=TYPE, payload={"é": [1e22]}, tags=['b"\\,{}'])
        before = shop.seen()
        await session.commit()

    found = await shop.tasks.find_task().aexecute(task.id)
    assert ((0, []), (1, tells(kind, "created"))) == (before, shop.seen())
    assert ({"é": [1e22]}, ('b"\\,{}',)) == (found.payload, found.tags)


async def test_a_task_is_gone_when_its_transaction_rolls_back(shop: Shop, kind: str, engine: AsyncEngine) -> None:
    """
    By a rollback, by an exception in the block, and by closing without a commit.
    """
    enqueue = shop.tasks.enqueue_task()
    async with async_opened(kind, engine) as session:
        await enqueue.aexecute_in(session, type=TYPE)
        await session.rollback()
        with suppress(ZeroDivisionError):
            async with session.begin():
                await enqueue.aexecute_in(session, type=TYPE)
                raise ZeroDivisionError
        await enqueue.aexecute_in(session, type=TYPE)
        await session.close()

    async with async_opened(kind, engine) as session:
        kept = await enqueue.aexecute_in(session, type=TYPE)
        await session.commit()

    assert (1, tells(kind, "created")) == shop.seen()
    assert [kept.id] == [task.id for task in await shop.tasks.list_tasks().aexecute()]


async def test_savepoints_keep_and_undo_what_was_enqueued_in_them(shop: Shop, kind: str, engine: AsyncEngine) -> None:
    """
    Released ones tell at the commit, those rolled back never, however they are nested.
    """
    enqueue = shop.tasks.enqueue_task()
    async with async_opened(kind, engine) as session:
        outer = await enqueue.aexecute_in(session, type="outer")
        async with session.begin_nested():
            released = await enqueue.aexecute_in(session, type="released")
            undone = await session.begin_nested()
            async with session.begin_nested():
                await enqueue.aexecute_in(session, type="released within what is undone")
            await undone.rollback()
        before = shop.seen()
        await session.commit()

    assert ((0, []), (2, tells(kind, "created", "created"))) == (before, shop.seen())
    assert [released.id, outer.id] == [task.id for task in await shop.tasks.list_tasks().aexecute()]


async def test_every_verb_waits_for_the_commit(shop: Shop, kind: str, engine: AsyncEngine) -> None:
    """
    Bulk enqueue, cancel and retry join like a single enqueue.
    """
    enqueue, cancel, retry = shop.tasks.enqueue_tasks(), shop.tasks.cancel_task(), shop.tasks.retry_task()
    kept, dropped = await enqueue.aexecute([NewTask(type="kept"), NewTask(type="dropped")])
    await cancel.aexecute(dropped.id)
    shop.told.events.clear()
    async with async_opened(kind, engine) as session:
        await enqueue.aexecute_in(session, [NewTask(type=TYPE), NewTask(type=TYPE)])
        cancelled = await cancel.aexecute_in(session, kept.id)
        again = await retry.aexecute_in(session, dropped.id)
        before = await shop.tasks.get_task_stats().aexecute()
        await session.commit()

    after = await shop.tasks.get_task_stats().aexecute()
    assert ((1, 1), (3, 1)) == ((before.pending, before.cancelled), (after.pending, after.cancelled))
    assert (TaskStatus.CANCELLED, TaskStatus.PENDING) == (cancelled.status, again.status)
    assert tells(kind, "created", "created", "cancelled", "retried") == shop.told.names


async def test_a_receiver_is_told_on_the_loop_of_the_commit(engine: AsyncEngine, shop: Shop) -> None:
    """
    An asynchronous receiver runs there, and finds what was committed.
    """
    seen: list[int] = []

    async def look(sender: str, event: object) -> None:
        seen.append((await shop.tasks.get_task_stats().aexecute()).pending)

    shop.tasks.signals().created.connect(look)
    async with async_opened("AsyncSession", engine) as session, session.begin():
        await shop.tasks.enqueue_task().aexecute_in(session, type=TYPE)
    await shop.tasks.aclose()

    assert [1] == seen
