"""Tick: what it asks of the database, and what it needs of it."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from app import DatabaseUnavailable, JobCatalog, SchemaMismatch, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from app.worker.worker import Worker
from tests.faults.waiting import eventually, measured
from tests.worker.conftest import QUICK
from tests.worker.ticks import echo


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent on the ``engine``, in order."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_a_tick_with_nothing_to_do_costs_three_statements(engine: Engine, statements: list[str]) -> None:
    """All read: schedules, workers, tasks. The first ever of a process asks for the isolation level, as every verb."""
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=JobCatalog())
    tasks.jobs().define("echo")(echo)
    tasks.enqueue_task().execute(type="echo", delay=600)

    await tasks.worker().tick()
    first = len(statements)
    statements.clear()
    assert 0 == await tasks.worker().tick()

    measured(f"an idle tick: {len(statements)} statements ({first} with the enqueueing and the first)")
    assert ["SELECT", "SELECT", "WITH"] == [one.split()[0] for one in statements]
    await tasks.aclose()


async def test_a_tick_with_one_task_costs_a_few_statements(engine: Engine, statements: list[str]) -> None:
    """Look thrice, register, promote, claim, settle, look again, sign off; the schema is looked at once a worker."""
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
    assert 9 == len(statements)
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
