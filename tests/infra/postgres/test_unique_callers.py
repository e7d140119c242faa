"""Unique tasks of every kind of caller: sessions, event loops and processes, and what they cost."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from app import (
    ExistingTask,
    TaskNotUnique,
    TaskQueueContainer,
    WorkerTask,
)
from tests.infra.postgres.callers import (
    ASYNC_DRIVERS,
    ASYNC_KINDS,
    SYNC_DRIVERS,
    SYNC_KINDS,
    async_engine_of,
    async_opened,
    engine_of,
    opened,
    until,
)
from tests.infra.postgres.uniques import PLAIN, User, jobs, latest, mail, pending, somebody_waits, sync


@pytest.fixture
def tasks(engine: Engine) -> Iterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)
    yield tasks
    tasks.close()


@pytest.fixture
def waiting(engine: Engine) -> Callable[[], bool]:
    """Whether somebody waits for a lock."""
    return lambda: somebody_waits(engine)


@pytest.mark.parametrize("driver", SYNC_DRIVERS)
def test_every_kind_of_session_obeys(database_url: str, driver: str) -> None:
    """
    By the job and by its type's name, one and many; whoever comes first.
    """
    with engine_of(database_url, driver) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=jobs)
        first = sync.enqueue(User(user_id=1))
        ids, new = [], []
        for kind in SYNC_KINDS:
            with opened(kind, engine) as session:
                handles = sync.enqueue_many_in(session, [User(user_id=1), User(user_id=1)])
                found = tasks.enqueue_task().execute_in(session, type="user:sync", payload={"user_id": 1})
                session.commit()
            ids += [*(handle.id for handle in handles), found.id]
            new += [*(handle.is_new for handle in handles), not isinstance(found, ExistingTask)]
        by_name = tasks.enqueue_task().execute(type="user:sync", payload={"user_id": 1})

    assert {first.id} == {*ids, by_name.id}
    assert {False} == {*new, not isinstance(by_name, ExistingTask)}


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
async def test_every_kind_of_asynchronous_session_obeys(database_url: str, driver: str) -> None:
    """
    Awaited, and with either driver.
    """
    async with async_engine_of(database_url, driver) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=jobs)
        first = await latest.aenqueue(User(user_id=1))
        ids, new = [], []
        for kind in ASYNC_KINDS:
            async with async_opened(kind, engine) as session:
                handles = await latest.aenqueue_many_in(session, [User(user_id=1), User(user_id=1, note=kind)])
                handles.append(await latest.aenqueue_in(session, User(user_id=1, note=f"{kind}!")))
                await session.commit()
            ids += [handle.id for handle in handles]
            new += [handle.is_new for handle in handles]
        found = await first.arefresh()
        listed = await tasks.list_tasks().aexecute()
        await tasks.aclose()

    assert {first.id} == {*ids, *(task.id for task in listed)}
    assert ({False}, f"{ASYNC_KINDS[-1]}!") == ({*new}, found.payload["note"])


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
async def test_who_waits_for_a_key_holds_up_nobody_who_has_none(
    database_url: str, engine: Engine, waiting: Callable[[], bool], driver: str
) -> None:
    """
    Calls that come at once are run together, but not with one that may have to wait for somebody's commit.
    """
    async with async_engine_of(database_url, driver) as asynchronous:
        tasks = TaskQueueContainer(engine=asynchronous, jobs=jobs)
        with Session(engine) as session:
            TaskQueueContainer(engine=engine, jobs=jobs).enqueue_task().execute_in(
                session, type="user:only", payload={"user_id": 1}
            )
            enqueue = tasks.enqueue_task()
            one = asyncio.create_task(enqueue.aexecute(type="user:only", payload={"user_id": 1}))
            await asyncio.to_thread(until, waiting)
            plain = await asyncio.wait_for(
                asyncio.gather(*(enqueue.aexecute(type=PLAIN) for _ in range(20)), only_of(tasks, 2)), timeout=10
            )
            session.commit()
        with pytest.raises(TaskNotUnique):
            await one
        await tasks.aclose()

    assert 21 == len({task.id for task in plain})


async def only_of(tasks: TaskQueueContainer, user_id: int) -> WorkerTask:
    return await tasks.enqueue_task().aexecute(type="user:only", payload={"user_id": user_id})


async def test_what_is_unique_goes_alone(async_engine: AsyncEngine) -> None:
    """
    In a transaction of its own, beside the one statement of those who come with it.
    """
    tasks = TaskQueueContainer(engine=async_engine, jobs=jobs)
    enqueue = tasks.enqueue_task()
    await enqueue.aexecute(type=PLAIN)
    gathering = tasks.unit_of_work()._gathering  # type: ignore[attr-defined]
    together: list[list[str]] = []
    run = gathering._run

    async def noted(use_case: Any, prepared: Any) -> Any:
        together.append([one.type for one in prepared])
        return await run(use_case, prepared)

    for line in gathering._lines.values():
        line._run = noted
    await asyncio.gather(
        *(enqueue.aexecute(type=type, payload={"user_id": 1}) for type in (PLAIN, "user:sync") for _ in range(10))
    )
    await tasks.aclose()

    assert [["user:sync"]] * 10 == [types for types in together if PLAIN not in types]
    assert {PLAIN} == {type for types in together if PLAIN in types for type in types}


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
async def test_of_fifty_that_come_at_once_on_an_event_loop_one_enqueues(database_url: str, driver: str) -> None:
    """
    The others get its task.
    """
    async with async_engine_of(database_url, driver) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=jobs)
        handles = await asyncio.gather(*(sync.aenqueue(User(user_id=1)) for _ in range(50)))
        await tasks.aclose()

    assert (1, 1) == (len({handle.id for handle in handles}), sum(handle.is_new for handle in handles))


PRODUCER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from app import TaskQueueContainer
from app.infra.settings import Settings
from tests.infra.postgres.uniques import User, jobs, sync

tasks = TaskQueueContainer(settings=Settings(database_url=sys.argv[1]), jobs=jobs)
tasks.get_task_stats().execute()
print("ready", flush=True)
for line in sys.stdin:
    with ThreadPoolExecutor(10) as pool:
        handles = list(pool.map(lambda _: sync.enqueue(User(user_id=int(line))), range(10)))
    print(*(f"{handle.id}:{handle.is_new}" for handle in handles), flush=True)
tasks.close()
"""


def test_of_fifty_producers_in_five_processes_one_enqueues(tasks: TaskQueueContainer, database_url: str) -> None:
    """
    Ten threads in each, over and over, and not one of them fails.
    """
    command = [sys.executable, "-c", PRODUCER, database_url]
    producers = [Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[3]) for _ in range(5)]
    pipes = [(producer.stdin, producer.stdout) for producer in producers]
    ready = [out.readline().strip() for _, out in pipes if out]
    rounds = []
    for user_id in range(3):
        for into, _ in pipes:
            assert into is not None
            into.write(f"{user_id}\n")
            into.flush()
        told = [one for _, out in pipes if out for one in out.readline().split()]
        rounds.append((len(told), len({one[:36] for one in told}), sum(one.endswith("True") for one in told)))
    for producer in producers:
        producer.communicate(timeout=30)

    assert ["ready"] * 5 == ready
    assert ([(50, 1, 1)] * 3, 3) == (rounds, pending(tasks))


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database from now on."""
    sent: list[str] = []

    def note(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread() is threading.main_thread():  # others tell the workers
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_what_is_plain_costs_what_it_did(tasks: TaskQueueContainer, statements: list[str]) -> None:
    """
    One statement, though its catalog has unique jobs; and a unique task costs two, thousands of them as well.
    """
    mail.enqueue(None)
    statements.clear()
    counts = []

    for enqueue in (
        lambda: mail.enqueue(None),
        lambda: mail.enqueue_many([None] * 2000),
        lambda: sync.enqueue(User(user_id=1)),
        lambda: sync.enqueue(User(user_id=1)),
        lambda: sync.enqueue_many([User(user_id=number % 1500) for number in range(2000)]),
        lambda: latest.enqueue_many([User(user_id=number) for number in range(2000)]),
        lambda: latest.enqueue_many([User(user_id=number) for number in range(2000)]),
    ):
        enqueue()
        counts.append(len(statements))
        statements.clear()

    assert [1, 1, 2, 2, 3, 2, 3] == counts
    assert 2002 + 1500 + 2000 == pending(tasks)
