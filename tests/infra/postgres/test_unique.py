"""Unique tasks in PostgreSQL: who waits for whom, what they find then, and what it costs."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from app import (
    ExistingTask,
    InvalidInput,
    JobCatalog,
    TaskHandle,
    TaskNotUnique,
    TaskQueueContainer,
    TaskStatus,
    Unique,
    WorkerTask,
)
from app.usecases.uniques import ClearUniques
from tests.contract.subject import Queue
from tests.examples import ManualClock, Recorder
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

PLAIN = "mail:send"
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


class User(BaseModel):
    """Whose data are to be fetched."""

    user_id: int
    note: str = ""


jobs = JobCatalog()


@jobs.define("user:sync", payload=User, unique=Unique(key=lambda user: user.user_id))
async def sync(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define("user:only", payload=User, unique=Unique(key=lambda user: user.user_id, on_conflict="raise"))
async def only(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define("user:latest", payload=User, unique=Unique(key=lambda user: user.user_id, on_conflict="replace"))
async def latest(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define(PLAIN)
async def mail(payload: Any, context: Any) -> None:
    """Does nothing."""


@pytest.fixture
def tasks(engine: Engine) -> Iterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)
    yield tasks
    tasks.close()


@pytest.fixture
def waiting(engine: Engine) -> Callable[[], bool]:
    """Whether somebody waits for a lock."""

    def is_so() -> bool:
        with engine.connect() as connection:
            return bool(connection.scalar(WAITING))

    return is_so


@pytest.fixture
def aside() -> Iterator[Callable[..., "Future[Any]"]]:
    """Runs something in another thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


Aside = Callable[..., "Future[TaskHandle[None]]"]
Waiting = Callable[[], bool]


def pending(tasks: TaskQueueContainer) -> int:
    return tasks.get_task_stats().execute().pending


def complete_one(tasks: TaskQueueContainer) -> None:
    """As a worker would; without one, whose upkeep would also forget the key."""
    queue = Queue(tasks.unit_of_work(), ManualClock(), Recorder())
    queue.register(types=("user:sync",))
    [task] = queue.claim(types=("user:sync",))
    assert queue.complete(task)


def test_who_comes_second_waits_and_gets_the_task_of_a_winner_that_commits(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    Its own statement began before that task was there, and finds it all the same.
    """
    with Session(engine) as session:
        winner = sync.enqueue_in(session, User(user_id=1))
        loser = aside(sync.enqueue, User(user_id=1))
        until(waiting)
        session.commit()

    handle = loser.result(20)
    assert (True, False, winner.id) == (winner.is_new, handle.is_new, handle.id)
    assert (1, winner.id) == (pending(tasks), handle.refresh().id)


def test_a_winner_that_rolls_back_leaves_the_key(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    To whoever waited: of two, one gets a task of its own and the other that one.
    """
    with Session(engine) as session:
        gone = sync.enqueue_in(session, User(user_id=1))
        others = [aside(sync.enqueue, User(user_id=1)) for _ in range(2)]
        until(waiting)
        session.rollback()

    handles = [other.result(20) for other in others]
    assert 1 == len({handle.id for handle in handles} - {gone.id})
    assert ([False, True], 1) == (sorted(handle.is_new for handle in handles), pending(tasks))


def test_a_savepoint_that_rolls_back_leaves_the_key(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    Within the same transaction, too.
    """
    with Session(engine) as session, session.begin():
        savepoint = session.begin_nested()
        gone = sync.enqueue_in(session, User(user_id=1))
        savepoint.rollback()
        kept = sync.enqueue_in(session, User(user_id=1))
        again = sync.enqueue_in(session, User(user_id=1))

    assert gone.id != kept.id
    assert (True, False, kept.id) == (kept.is_new, again.is_new, again.id)
    assert 1 == pending(tasks)


def test_a_holder_that_completes_meanwhile_holds_nothing(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    Somebody has the key locked while it ends, and the one who waits for that gets a task of its own.
    """
    first = sync.enqueue(User(user_id=1))
    with Session(engine) as session:
        dropped = sync.enqueue_in(session, User(user_id=1))
        late = aside(sync.enqueue, User(user_id=1))
        until(waiting)
        complete_one(tasks)
        session.commit()

    handle = late.result(20)
    assert (first.id, True) == (dropped.id, handle.is_new)
    assert (TaskStatus.COMPLETED, 1) == (first.refresh().status, pending(tasks))


def test_a_holder_that_begins_while_it_is_replaced_is_left_as_it_is(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    The claim came first, and its attempt runs what it was given; one that is even gone leaves the key.
    """
    claim = "UPDATE worker.tasks SET status = 'running'"
    end = "WITH gone AS (DELETE FROM worker.tasks RETURNING *) INSERT INTO worker.finished SELECT id, type, queue, "
    end += "'completed', priority, attempts, max_attempts, lease_seq, scheduled_at, created_at, now(), timeout, "
    end += (
        "worker_id, correlation_id, tags, version, payload, error, errors, progress, progress_message, now() FROM gone"
    )
    seen: list[tuple[bool, bool, str]] = []
    for change in (claim, end):
        first = latest.enqueue(User(user_id=len(seen), note="first"))
        with engine.connect() as connection:
            connection.exec_driver_sql(change)
            second = aside(latest.enqueue, User(user_id=len(seen), note="second"))
            until(waiting)
            connection.commit()
        seen.append((second.result(20).is_new, second.result().id == first.id, second.result().task.payload["note"]))
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM worker.tasks WHERE status = 'running'")

    assert [(False, True, "first"), (True, False, "second")] == seen


def test_the_upkeep_waits_for_nobody_and_leaves_what_is_being_taken(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    A key that is stale for everybody else, and just taken over by a transaction that has not committed.
    """
    for user_id in (1, 2):
        sync.enqueue(User(user_id=user_id))
        complete_one(tasks)
    unit_of_work = tasks.unit_of_work()

    with Session(engine) as session:
        taken = sync.enqueue_in(session, User(user_id=1))
        first = unit_of_work.run(ClearUniques())
        session.commit()
    second = unit_of_work.run(ClearUniques())

    assert [(2, 1), (1, 0)] == [(cleared.seen, cleared.removed) for cleared in (first, second)]
    assert (True, taken.id) == (taken.is_new, sync.enqueue(User(user_id=1)).id)


def test_a_replacement_waits_for_its_commit(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    And is undone by a rollback, as all that is joined.
    """
    first = latest.enqueue(User(user_id=1, note="first"))
    notes = []

    with Session(engine) as session:
        for end in (session.rollback, session.commit):
            latest.enqueue_in(session, User(user_id=1, note="second"))
            notes.append(first.refresh().payload["note"])
            end()
            notes.append(first.refresh().payload["note"])

    assert ["first", "first", "first", "second"] == notes


def test_repeatable_read_sees_what_its_snapshot_does(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    A key that was taken since is a conflict for its owner to see, who begins again; a holder is as it was then.
    """
    held = sync.enqueue(User(user_id=1))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.scalar(text("SELECT 1"))
        complete_one(tasks)
        other = sync.enqueue(User(user_id=2))
        again = sync.enqueue_in(connection, User(user_id=1))
        new = sync.enqueue_in(connection, User(user_id=3))
        with pytest.raises(OperationalError, match="could not serialize"):
            sync.enqueue_in(connection, User(user_id=2))
        connection.rollback()
        once_more = [sync.enqueue_in(connection, User(user_id=user_id)) for user_id in (1, 2)]
        connection.commit()

    assert ([held.id, False], TaskStatus.COMPLETED) == ([again.id, again.is_new], held.refresh().status)
    assert [True, True, False] == [new.is_new, *(handle.is_new for handle in once_more)]
    assert (other.id, 2) == (once_more[1].id, pending(tasks))


def test_a_connection_that_commits_each_statement_is_refused(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    Between two statements anybody could come: said at once, with nothing stored; a plain task goes there as before.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(InvalidInput, match="session: must be in a transaction for a job that is unique"):
            sync.enqueue_in(connection, User(user_id=1))
        mail.enqueue_in(connection, None)

    assert 1 == pending(tasks)


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
    database_url: str, engine: Engine, waiting: Waiting, driver: str
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
from tests.infra.postgres.test_unique import User, jobs, sync

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
