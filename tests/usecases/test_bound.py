"""Bound: the four ways to call a verb do the same, each in its transaction."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.domain.tasks.task import WorkerTask
from app.usecases.bound import Bound
from app.usecases.tasks.enqueue import EnqueueTask
from app.usecases.tasks.stats import GetTaskStats
from tests.contract.subject import Queue, in_memory


@pytest.fixture
def queue() -> Queue:
    return in_memory()


@pytest.fixture
def enqueue(queue: Queue) -> Bound[..., WorkerTask]:
    return Bound(queue.uow, EnqueueTask(queue.enqueueing))


def test_execute_commits(queue: Queue, enqueue: Bound[..., WorkerTask]) -> None:
    """
    What it returns is there for everybody.
    """
    task = enqueue.execute(type="email:send", payload=[1], priority=3)

    assert ([1], 3) == ((found := queue.find(task)).payload, found.priority)


async def test_aexecute_commits(queue: Queue, enqueue: Bound[..., WorkerTask]) -> None:
    """
    As execute does.
    """
    task = await enqueue.aexecute(type="email:send")

    assert task.id == queue.find(task).id


def test_execute_in_leaves_the_commit_to_the_caller(queue: Queue, enqueue: Bound[..., WorkerTask]) -> None:
    """
    The Session comes first, the verb's own parameters after it.
    """
    stats: Bound[[], Any] = Bound(queue.uow, GetTaskStats())

    with Session() as session, session.begin():
        enqueue.execute_in(session, type="email:send")
        seen = stats.execute_in(session).total, stats.execute().total

    assert ((1, 0), 1) == (seen, stats.execute().total)


async def test_aexecute_in_leaves_the_commit_to_the_caller(queue: Queue, enqueue: Bound[..., WorkerTask]) -> None:
    """
    As execute_in does.
    """
    async with AsyncSession() as session, session.begin():
        await enqueue.aexecute_in(session, type="email:send")
        before = queue.stats().total

    assert (0, 1) == (before, queue.stats().total)


def test_a_verb_may_be_any_function(queue: Queue) -> None:
    """
    Its first parameter is the transaction.
    """
    count: Callable[..., int] = lambda tx, factor: tx.statistics.counts().total * factor  # noqa: E731

    assert 0 == Bound(queue.uow, count).execute(factor=7)
