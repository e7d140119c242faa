"""TaskQueueContainer: what it makes, from what it is given, and what closing it does."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import containers, providers
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app import DeadLetter, InvalidInput, JobCatalog, TaskCompleted, TaskQueueContainer
from app.container.places import WrongPlace
from app.infra.settings import InvalidSettings, Settings


@pytest.fixture
def jobs() -> JobCatalog:
    """A catalog with one job."""
    jobs = JobCatalog()

    @jobs.define("a:b")
    async def work(payload: Any, context: object) -> Any:
        return payload

    return jobs


@pytest.fixture
async def memory(jobs: JobCatalog) -> AsyncIterator[TaskQueueContainer]:
    """A container that needs no database."""
    tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
    yield tasks
    await tasks.aclose()


def test_closing_what_was_never_used_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, no thread, no file, though no database is configured and one would be started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    before = threading.active_count()

    tasks = TaskQueueContainer()
    tasks.close()
    tasks.close()

    assert [] == list(tmp_path.iterdir())
    assert before == threading.active_count()


async def test_aclose_of_what_was_never_used_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the running loop."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    tasks = TaskQueueContainer()
    await tasks.aclose()
    await tasks.aclose()

    assert [] == list(tmp_path.iterdir())


def test_a_synchronous_caller_may_close_twice(database_url: str, jobs: JobCatalog) -> None:
    """And use the queue again, which then connects anew."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    task = tasks.enqueue_task().execute(type="a:b")

    tasks.close()
    tasks.close()

    assert task.id == tasks.find_task().execute(task.id).id
    tasks.close()


async def test_an_asynchronous_caller_may_close_both_ways(database_url: str, jobs: JobCatalog) -> None:
    """After calls of both kinds, twice, and close after aclose."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    task = await tasks.enqueue_task().aexecute(type="a:b")
    tasks.find_task().execute(task.id)

    await tasks.aclose()
    await tasks.aclose()
    tasks.close()

    assert task.id == (await tasks.find_task().aexecute(task.id)).id
    await tasks.aclose()


async def test_one_engine_is_enough_for_both_kinds_of_calls(
    engine: Engine, async_engine: AsyncEngine, jobs: JobCatalog
) -> None:
    """A sync one, an async one by either name, or both; every container sees the tasks of the others."""
    containers = [
        TaskQueueContainer(engine=engine, jobs=jobs),
        TaskQueueContainer(engine=async_engine, jobs=jobs),
        TaskQueueContainer(async_engine=async_engine, jobs=jobs),
        TaskQueueContainer(engine=engine, async_engine=async_engine, jobs=jobs),
    ]

    for tasks in containers:
        tasks.enqueue_task().execute(type="a:b")
        await tasks.enqueue_task().aexecute(type="a:b")
    counts = [await tasks.get_task_stats().aexecute() for tasks in containers]
    for tasks in containers:
        await tasks.aclose()

    assert [2 * len(containers)] * len(containers) == [count.total for count in counts]


async def test_a_worker_runs_on_the_engine_it_gets(engine: Engine, async_engine: AsyncEngine, jobs: JobCatalog) -> None:
    """Whichever kind that is."""
    for given in (engine, async_engine):
        tasks = TaskQueueContainer(engine=given, jobs=jobs)
        task = await tasks.enqueue_task().aexecute(type="a:b", payload=7)

        assert 1 == await tasks.worker().drain()
        assert 7 == tasks.find_task().execute(task.id).result
        await tasks.aclose()


async def test_closing_leaves_the_engines_of_the_application_open(
    engine: Engine, async_engine: AsyncEngine, jobs: JobCatalog
) -> None:
    """What was handed in is its owner's to dispose of: connections in its pool stay there."""
    tasks = TaskQueueContainer(engine=engine, async_engine=async_engine, jobs=jobs)
    with engine.connect() as connection:
        process = connection.scalar(text("SELECT pg_backend_pid()"))
    tasks.enqueue_task().execute(type="a:b")
    await tasks.aclose()
    tasks.close()

    with engine.connect() as connection:
        assert process == connection.scalar(text("SELECT pg_backend_pid()"))
    async with async_engine.connect() as other:
        assert 1 == await other.scalar(text("SELECT 1"))


@pytest.mark.parametrize("engine", ["postgresql:///shop", 7])
def test_what_is_no_engine_is_refused_when_it_is_needed(engine: object, jobs: JobCatalog) -> None:
    """With the name of the parameter."""
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)

    with pytest.raises(InvalidInput, match="engine: must be a SQLAlchemy Engine"):
        tasks.enqueue_task()


def test_an_engine_of_another_database_is_refused(jobs: JobCatalog) -> None:
    """It must lead to PostgreSQL."""
    tasks = TaskQueueContainer(engine=create_engine("sqlite://"), jobs=jobs)

    with pytest.raises(InvalidInput, match="must lead to PostgreSQL"):
        tasks.enqueue_task()


def test_settings_given_in_code_beat_the_environment(monkeypatch: pytest.MonkeyPatch, jobs: JobCatalog) -> None:
    """And what they do not say is read there, once."""
    monkeypatch.setenv("WORKER_CONCURRENCY", "2")
    monkeypatch.setenv("WORKER_ID", "from-the-environment")
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, worker_concurrency=7), jobs=jobs)
    monkeypatch.setenv("WORKER_ID", "too-late")

    options = tasks.worker().options

    assert (7, "from-the-environment") == (options.concurrency, options.name)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """A slip of the pen must not be lost."""
    with pytest.raises(InvalidSettings, match="worker_concurency"):
        Settings(worker_concurency=7)


def test_overridden_settings_reach_every_part(jobs: JobCatalog) -> None:
    """The schema of the tables, the limit of a payload, the worker's options."""
    tasks = TaskQueueContainer(jobs=jobs)
    tasks.settings.override(providers.Object(Settings(in_memory=True, worker_max_payload=10, worker_lease="5m")))

    with pytest.raises(InvalidInput, match="at most 10 bytes"):
        tasks.enqueue_task().execute(type="a:b", payload="more than ten")
    assert 300 == tasks.worker().options.lease
    tasks.close()


def test_the_tables_may_stand_in_another_schema(empty_database_url: str, jobs: JobCatalog) -> None:
    """Two queues in one database know nothing of each other."""
    one, other = (
        TaskQueueContainer(settings=Settings(database_url=empty_database_url, worker_schema=schema), jobs=jobs)
        for schema in ("one", "other")
    )
    for tasks in (one, other):
        tasks.migrations().upgrade()
    one.enqueue_task().execute(type="a:b")

    assert (1, 0) == (one.get_task_stats().execute().total, other.get_task_stats().execute().total)
    one.close()
    other.close()


async def test_every_container_has_signals_of_its_own(memory: TaskQueueContainer, jobs: JobCatalog) -> None:
    """The same object at each call, and another in another container."""
    other = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
    heard: list[Any] = []

    def on_completed(sender: str, event: TaskCompleted) -> None:
        heard.append(event.result)

    memory.signals().completed.connect(on_completed)
    for tasks, payload in ((memory, "mine"), (other, "not mine")):
        tasks.enqueue_task().execute(type="a:b", payload=payload)
        await tasks.worker().drain()
    await other.aclose()

    assert memory.signals() is memory.signals()
    assert memory.signals() is not other.signals()
    assert ["mine"] == heard


def test_containers_in_memory_share_no_tasks(memory: TaskQueueContainer, jobs: JobCatalog) -> None:
    """Each keeps its own."""
    other = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
    memory.enqueue_task().execute(type="a:b")

    assert (1, 0) == (memory.get_task_stats().execute().total, other.get_task_stats().execute().total)
    other.close()


def test_a_part_can_be_overridden_and_put_back(memory: TaskQueueContainer) -> None:
    """Here the ids, which reach every verb that uses them."""
    [chosen] = memory.new_ids()(1)

    with memory.new_ids.override(providers.Object(lambda count: [chosen] * count)):
        assert chosen == memory.enqueue_task().execute(type="a:b").id
    assert chosen != memory.enqueue_task().execute(type="a:b").id


async def test_the_ids_of_what_the_queue_enqueues_itself_are_the_container_s(memory: TaskQueueContainer) -> None:
    """The alert of a death has one of those too, though what stores it was made before they were overridden."""
    jobs = memory.jobs()
    alert = jobs.define("pager:call")(lambda payload, context: None)
    jobs.define("goes:wrong", dead_letter=DeadLetter(alert=alert))(lambda payload, context: 1 / 0)
    memory.enqueue_task().execute(type="goes:wrong", max_attempts=1)
    [chosen] = memory.new_ids()(1)

    with memory.new_ids.override(providers.Object(lambda count: [chosen] * count)):
        await memory.worker().drain()

    assert "pager:call" == memory.find_task().execute(chosen).type


def test_an_embedding_container_may_override_the_engine(database_url: str, engine: Engine, jobs: JobCatalog) -> None:
    """As an application's tests do: the queue inside follows."""

    class Shop(containers.DeclarativeContainer):
        engine: providers.Provider[Engine] = providers.Singleton(
            create_engine, "postgresql+psycopg://nobody:x@127.0.0.1:1/x"
        )
        tasks = providers.Container(TaskQueueContainer, engine=engine, jobs=jobs)

    shop = Shop()
    shop.engine.override(providers.Object(engine))

    assert 0 == shop.tasks.get_task_stats().execute().total
    shop.tasks.close()


def test_without_jobs_the_examples_are_known(tmp_path: Path) -> None:
    """Those that ship, and a place in the settings leads to others."""
    examples = TaskQueueContainer(settings=Settings(in_memory=True, data_dir=tmp_path))
    placed = TaskQueueContainer(settings=Settings(in_memory=True, worker_jobs="tests.cli.jobs:jobs"))
    nowhere = TaskQueueContainer(settings=Settings(in_memory=True, worker_jobs="tests.cli.jobs:upper"))

    assert ("email:send", "http:request", "report:generate") == examples.jobs().types()
    assert ("text:refuse", "text:upper") == placed.jobs().types()
    with pytest.raises(WrongPlace, match="is no JobCatalog"):
        nowhere.jobs()
    for tasks in (examples, placed, nowhere):
        tasks.close()
