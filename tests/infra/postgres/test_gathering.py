"""Gathering: calls that come while another is under way go together, and answer for themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import InvalidInput, JobCatalog, NewTask, TaskCreated, TaskQueueContainer
from app.infra.settings import Settings
from tests.infra.postgres.callers import TYPE


@pytest.fixture
async def tasks(async_engine: AsyncEngine) -> AsyncIterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(engine=async_engine, jobs=JobCatalog())
    yield tasks
    await tasks.aclose()


async def test_calls_at_once_are_all_answered_with_their_own_task(tasks: TaskQueueContainer) -> None:
    """
    A hundred callers, and each gets what it asked for.
    """
    enqueued = await asyncio.gather(
        *(tasks.enqueue_task().aexecute(type=TYPE, payload=number) for number in range(100))
    )

    stored = {task.id: task.payload for task in tasks.list_tasks().execute(limit=200)}
    assert list(range(100)) == [task.payload for task in enqueued]
    assert {task.id: task.payload for task in enqueued} == stored


async def test_calls_at_once_need_few_statements(tasks: TaskQueueContainer, async_engine: AsyncEngine) -> None:
    """
    One goes at once, and the others together after it: counted in what the database has inserted by.
    """
    await tasks.enqueue_task().aexecute(type=TYPE)
    together: list[int] = []
    add = tasks.unit_of_work()._gathering._run  # type: ignore[attr-defined]

    async def counted(use_case: Any, prepared: Any) -> Any:
        together.append(len(prepared))
        return await add(use_case, prepared)

    for line in tasks.unit_of_work()._gathering._lines.values():  # type: ignore[attr-defined]
        line._run = counted
    await asyncio.gather(*(tasks.enqueue_task().aexecute(type=TYPE) for _ in range(50)))

    assert [1, 49] == together


async def test_a_call_that_is_refused_costs_the_others_nothing(tasks: TaskQueueContainer) -> None:
    """
    Neither one that is wrong in itself, nor one whose payload is found to be too large only among the others.
    """
    answers = await asyncio.gather(
        tasks.enqueue_task().aexecute(type=TYPE),
        tasks.enqueue_task().aexecute(type=TYPE, payload="x" * 10_000_000),
        tasks.enqueue_task().aexecute(type="with*wildcard"),
        tasks.enqueue_task().aexecute(type=TYPE),
        return_exceptions=True,
    )

    assert [False, True, True, False] == [isinstance(answer, InvalidInput) for answer in answers]
    assert 2 == tasks.get_task_stats().execute().total


async def test_a_caller_that_was_cancelled_while_waiting_enqueues_nothing(tasks: TaskQueueContainer) -> None:
    """
    It waits for another call, and is dropped before its own turn.
    """
    first, waiting, last = (
        asyncio.ensure_future(tasks.enqueue_task().aexecute(type=TYPE, payload=number)) for number in range(3)
    )
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({first, waiting, last})

    assert waiting.cancelled()
    assert {0, 2} == {task.payload for task in tasks.list_tasks().execute()}


async def test_a_caller_that_gives_up_on_the_way_loses_nothing_but_the_answer(tasks: TaskQueueContainer) -> None:
    """
    What is stored all the same is told all the same; the others do not notice.
    """
    first, *others = (asyncio.ensure_future(tasks.enqueue_task().aexecute(type=TYPE)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first, *others})

    assert all(other.result().type == TYPE for other in others)
    assert 3 == tasks.get_task_stats().execute().total


async def test_every_stored_task_is_told_of_whenever_its_caller_gives_up(tasks: TaskQueueContainer) -> None:
    """
    Two hundred callers with little patience, each giving up at another moment of the way.
    """
    heard: list[TaskCreated] = []
    tasks.signals().created.connect(lambda sender, event: heard.append(event), weak=False)

    async def impatient(number: int) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(tasks.enqueue_task().aexecute(type=TYPE), number * 0.0002)

    await tasks.enqueue_task().aexecute(type=TYPE)  # connected from here on
    for number in range(200):
        await impatient(number % 20)
    await tasks.enqueue_task().aexecute(type=TYPE)

    stored = [task.id for task in tasks.list_tasks().execute(limit=1000)]
    assert sorted(stored) == sorted(each.task.id for each in heard)


async def test_every_task_of_a_bulk_is_told_of_whenever_its_caller_gives_up(tasks: TaskQueueContainer) -> None:
    """
    A bulk goes by itself, and on without its caller.
    """
    heard: list[TaskCreated] = []
    tasks.signals().created.connect(lambda sender, event: heard.append(event), weak=False)

    await tasks.enqueue_tasks().aexecute([NewTask(type=TYPE)])  # connected from here on
    for number in range(200):
        with suppress(TimeoutError):
            await asyncio.wait_for(tasks.enqueue_tasks().aexecute([NewTask(type=TYPE)]), number % 20 * 0.0002)
    await eventually_settled(tasks)

    stored = [task.id for task in tasks.list_tasks().execute(limit=1000)]
    assert sorted(stored) == sorted(each.task.id for each in heard)


async def eventually_settled(tasks: TaskQueueContainer) -> None:
    if under_way := set(tasks.unit_of_work()._outliving):  # type: ignore[attr-defined]
        await asyncio.wait(under_way, timeout=10)


async def test_one_that_hangs_does_not_keep_the_others_waiting(
    tasks: TaskQueueContainer, async_engine: AsyncEngine
) -> None:
    """
    Its connection may be dead without a word; the next go beside it.
    """
    await tasks.enqueue_task().aexecute(type=TYPE)
    hanging = asyncio.Event()
    gathering = tasks.unit_of_work()._gathering  # type: ignore[attr-defined]
    run = gathering._run

    async def hangs_once(use_case: Any, prepared: Any) -> Any:
        if not hanging.is_set():
            hanging.set()
            await asyncio.Event().wait()
        return await run(use_case, prepared)

    for line in gathering._lines.values():
        line._run = hangs_once
    stuck = asyncio.ensure_future(tasks.enqueue_task().aexecute(type=TYPE))
    await hanging.wait()

    async with asyncio.timeout(10):
        task = await tasks.enqueue_task().aexecute(type=TYPE)

    assert TYPE == task.type
    assert not stuck.done()
    stuck.cancel()


async def test_each_call_is_announced_once(tasks: TaskQueueContainer) -> None:
    """
    Listeners hear of every task, however it was stored.
    """
    heard: list[TaskCreated] = []
    tasks.signals().created.connect(lambda sender, event: heard.append(event), weak=False)

    enqueued = await asyncio.gather(*(tasks.enqueue_task().aexecute(type=TYPE) for _ in range(20)))

    assert sorted(task.id for task in enqueued) == sorted(each.task.id for each in heard)


def test_one_loop_after_another_may_gather(database_url: str) -> None:
    """
    A loop that ended in the middle leaves nothing behind that would keep the next one waiting.
    """

    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=JobCatalog())

    async def several() -> None:
        await asyncio.gather(*(tasks.enqueue_task().aexecute(type=TYPE) for _ in range(5)))

    async def broken_off() -> None:
        for _ in range(3):
            asyncio.ensure_future(tasks.enqueue_task().aexecute(type=TYPE))  # noqa: RUF006
        await asyncio.sleep(0)

    asyncio.run(several())
    asyncio.run(broken_off())
    asyncio.run(several())
    total = tasks.get_task_stats().execute().total
    tasks.close()

    assert 10 <= total <= 13
