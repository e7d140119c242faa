"""Joined transactions of an asynchronous application."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from app.domain.errors import InvalidInput
from tests.contract.subject import Queue
from tests.examples import new_task


@pytest.fixture
async def async_session(adapter: str, request: pytest.FixtureRequest) -> AsyncIterator[AsyncSession]:
    """A Session of an asynchronous application."""
    if adapter == "memory":
        async with AsyncSession() as session:
            yield session
        return
    engine = create_async_engine(request.getfixturevalue("database_url"))
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


async def test_an_async_session_joins_like_another(queue: Queue, async_session: AsyncSession) -> None:
    """
    Commit, rollback, and a savepoint of each fate.
    """
    await queue.uow.ajoin(async_session, queue.enqueueing, [new_task()])
    await async_session.rollback()
    [kept] = await queue.uow.ajoin(async_session, queue.enqueueing, [new_task()])
    savepoint = await async_session.begin_nested()
    await queue.uow.ajoin(async_session, queue.enqueueing, [new_task()])
    await savepoint.rollback()
    async with async_session.begin_nested():
        [released] = await queue.uow.ajoin(async_session, queue.enqueueing, [new_task()])
    before = queue.public
    await async_session.commit()

    assert ((0, []), (2, ["created", "created"])) == (before, queue.public)
    assert [released.id, kept.id] == [task.id for task in queue.newest()]


async def test_a_session_of_the_other_world_is_refused(queue: Queue, async_session: AsyncSession) -> None:
    """
    A sync call wants a sync Session, an awaited one an async Session; each error names the other verb.
    """
    with pytest.raises(InvalidInput, match="aexecute_in"):
        queue.uow.join(async_session, queue.enqueueing, [new_task()])
    with pytest.raises(InvalidInput, match="sync kinds: execute_in"):
        await queue.uow.ajoin(async_session.sync_session, queue.enqueueing, [new_task()])

    assert 0 == queue.stats().total
