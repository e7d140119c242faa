"""Engines: whichever the application brings, the queue works with it, and leaves it as it was."""

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from app import InvalidInput, JobCatalog, TaskContext, TaskQueueContainer
from app.infra.settings import Settings
from app.usecases.transaction import Transaction
from tests.examples import new_task
from tests.infra.postgres.callers import ASYNC_DRIVERS, SYNC_DRIVERS, TYPE, async_engine_of, engine_of, with_driver

jobs = JobCatalog()


@jobs.define(TYPE)
async def ship(payload: Any, context: TaskContext) -> Any:
    return payload


async def used_in_every_way(tasks: TaskQueueContainer) -> list[str]:
    """Enqueue, synchronously and not, and have the worker run what came."""
    await tasks.enqueue_task().aexecute(type=TYPE, payload={"by": "aexecute"})
    await asyncio.to_thread(tasks.enqueue_task().execute, type=TYPE, payload={"by": "execute"})
    await tasks.worker().drain()
    done = await tasks.list_tasks().aexecute(status="completed")
    await tasks.aclose()
    return [task.result["by"] for task in done]


@pytest.mark.parametrize("driver", SYNC_DRIVERS)
async def test_a_queue_works_with_a_sync_engine_alone(database_url: str, driver: str) -> None:
    """
    Awaited calls and the worker too, and the engine is still the application's afterwards.
    """
    with engine_of(database_url, driver) as engine:
        done = await used_in_every_way(TaskQueueContainer(engine=engine, jobs=jobs))

        with engine.connect() as connection:
            left = connection.scalar(text("SELECT count(*) FROM worker.finished"))

    assert (["execute", "aexecute"], 2) == (done, left)


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
@pytest.mark.parametrize("name", ["engine", "async_engine"])
async def test_a_queue_works_with_an_async_engine_alone(database_url: str, driver: str, name: str) -> None:
    """
    Under either name; the sync one is derived from its URL.
    """
    async with async_engine_of(database_url, driver) as engine:
        done = await used_in_every_way(TaskQueueContainer(**{name: engine}, jobs=jobs))

        async with engine.connect() as connection:
            left = await connection.scalar(text("SELECT count(*) FROM worker.finished"))

    assert (["execute", "aexecute"], 2) == (done, left)


async def test_a_queue_works_with_both(database_url: str) -> None:
    """
    Each call takes the engine of its own kind.
    """
    async with async_engine_of(database_url, "asyncpg") as async_engine:
        with engine_of(database_url, "psycopg2") as engine:
            tasks = TaskQueueContainer(engine=engine, async_engine=async_engine, jobs=jobs)
            done = await used_in_every_way(tasks)

            assert ["execute", "aexecute"] == done
            assert (engine, async_engine) == (tasks.engines().sync, tasks.engines().asynchronous)


async def test_a_queue_works_with_an_url_of_its_own(database_url: str) -> None:
    """
    Nobody brings an engine then.
    """
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)

    assert ["execute", "aexecute"] == await used_in_every_way(tasks)


@pytest.mark.parametrize("driver", SYNC_DRIVERS)
async def test_a_queue_works_with_an_engine_whose_url_says_nothing(database_url: str, driver: str) -> None:
    """
    The application opens connections itself, and the heartbeat has to come by them that way too.
    """
    connect = import_module(driver).connect
    engine = create_engine(f"postgresql+{driver}://", creator=lambda: connect(database_url))
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)

    with tasks.engines().apart.connect() as connection:
        found = connection.scalar(text("SELECT current_database()"))
    done = await used_in_every_way(tasks)
    engine.dispose()

    assert (make_url(database_url).database, ["execute", "aexecute"]) == (found, done)


def test_an_own_engine_serves_one_event_loop_after_another(database_url: str) -> None:
    """
    As in a script that calls asyncio.run again and again, or in a test suite.
    """
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)

    for _ in range(3):
        asyncio.run(tasks.enqueue_task().aexecute(type=TYPE))
    total = tasks.get_task_stats().execute().total
    tasks.close()

    assert 3 == total


@pytest.mark.parametrize("parameter", ["prepared_statement_cache_size=0", "ssl=prefer", "command_timeout=5"])
def test_what_only_asyncpg_knows_is_left_out_of_the_derived_engine(database_url: str, parameter: str) -> None:
    """
    libpq refuses an URL with words that it does not know.
    """
    [(name, value)] = [parameter.split("=")]
    url = with_driver(database_url, "asyncpg").update_query_dict({name: value})
    tasks = TaskQueueContainer(engine=create_async_engine(url), jobs=jobs)

    total = tasks.get_task_stats().execute().total
    tasks.close()

    assert 0 == total


@pytest.fixture(params=["AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ"])
def isolated_engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """An engine that an application has set to an isolation level of its liking."""
    with engine_of(database_url, isolation_level=request.param) as engine:
        yield engine


def test_the_isolation_level_of_an_engine_is_its_applications_own(isolated_engine: Engine) -> None:
    """
    Our transactions are whole ones whatever it says, and its connections keep what they had.
    """
    tasks = TaskQueueContainer(engine=isolated_engine, jobs=jobs)
    level = text("SHOW transaction_isolation")

    def fail_after_writing(tx: Transaction) -> None:
        tasks.enqueue()(tx, [new_task()])
        raise ZeroDivisionError

    with isolated_engine.connect() as connection:
        before = connection.scalar(level), connection.get_isolation_level()
    with pytest.raises(ZeroDivisionError):
        tasks.unit_of_work().run(fail_after_writing)
    with isolated_engine.connect() as connection:
        after = connection.scalar(level), connection.get_isolation_level()

    assert (before, 0) == (after, tasks.get_task_stats().execute().total)


def test_an_engines_own_json_has_no_say_in_ours(database_url: str) -> None:
    """
    Applications hand in serializers that write their types, and we store what we checked.
    """

    def refuse(value: object) -> Any:
        raise AssertionError(f"asked about {value!r}")

    payload = {"price": 1e22, "z": 1, "a": [None, "é"]}
    with engine_of(database_url, json_serializer=refuse, json_deserializer=refuse) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=jobs)
        task = tasks.enqueue_task().execute(type=TYPE, payload=payload)
        asyncio.run(tasks.worker().drain())
        found = tasks.find_task().execute(task.id)
        tasks.close()

    assert (json.dumps(payload), payload) == (json.dumps(found.payload), found.result)


@pytest.mark.parametrize("given", [{"engine": "postgresql://"}, {"async_engine": create_engine("postgresql://")}])
def test_what_is_no_such_engine_is_refused(given: dict[str, Any]) -> None:
    """
    At the first call that needs it, by the name it was given under.
    """
    tasks = TaskQueueContainer(**given, jobs=jobs)

    with pytest.raises(InvalidInput) as refused:
        tasks.enqueue_task().execute(type=TYPE)

    assert [*given] == [refused.value.field]


def test_an_engine_of_another_database_is_refused() -> None:
    """
    With a sentence, not with a puzzle about a compiler.
    """
    tasks = TaskQueueContainer(engine=create_engine("sqlite://"), jobs=jobs)

    with pytest.raises(InvalidInput) as refused:
        tasks.enqueue_task().execute(type=TYPE)

    assert "engine: must lead to PostgreSQL (given: 'sqlite')" == str(refused.value)


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_a_database_of_another_isolation_does_not_isolate_our_statements_so(database_url: str, isolation: str) -> None:
    """
    Of claimers that meet there, one would get an error instead of what the other has left.
    """
    with engine_of(database_url) as engine, engine.begin() as connection:
        name = connection.engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{isolation}'")
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)

    async def used() -> list[str]:
        await asyncio.gather(*(tasks.enqueue_task().aexecute(type=TYPE) for _ in range(5)))
        return [await tasks.unit_of_work().arun(_Alone()), tasks.unit_of_work().run(_Alone())]

    levels = asyncio.run(used())
    tasks.close()

    assert ["read committed"] * 2 == levels


class _Alone:
    """A use case that needs no transaction, and says how it was isolated."""

    needs_transaction = False

    def __call__(self, tx: Any) -> str:
        level: str = tx._statements.run(select(func.current_setting("transaction_isolation")))[0][0]
        return level
