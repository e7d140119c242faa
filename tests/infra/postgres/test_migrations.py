"""Migrations: any number of migrators bring any database to the schema of this version, and nothing else is touched."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from app import JobCatalog, NewTask, QueueError, SchemaMismatch, TaskQueueContainer
from app.infra.postgres.migrations import Migrations, options_for
from app.infra.postgres.tables import metadata
from app.infra.settings import Settings
from tests.infra.postgres.callers import TYPE, async_engine_of, engine_of, until

ROOT = Path(__file__).parents[3]
HEAD = max(path.name[:4] for path in (ROOT / "alembic" / "versions").glob("0*.py"))
THINGS = text(
    "SELECT n.nspname, kind, name FROM pg_namespace n JOIN ("
    " SELECT relnamespace AS ns, 'relation' AS kind, relname AS name FROM pg_class"
    " UNION ALL SELECT pronamespace, 'function', proname FROM pg_proc"
    " UNION ALL SELECT typnamespace, 'type', typname FROM pg_type) AS things ON things.ns = n.oid"
    " WHERE n.nspname <> ALL (:ours) AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2, 3"
)


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    """An engine on a database with nothing in it."""
    with engine_of(empty_database_url) as engine:
        yield engine


def queue(engine: Engine, schema: str) -> TaskQueueContainer:
    return TaskQueueContainer(settings=Settings(worker_schema=schema), engine=engine, jobs=JobCatalog())


def go(engine: Engine, direction: Any, revision: str, schema: str = "worker") -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    with engine.connect() as connection:
        config.attributes.update(connection=connection, schema=schema)
        direction(config, revision)


def things_elsewhere(engine: Engine, *ours: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(THINGS, {"ours": [*ours]})]


def test_an_empty_database_becomes_a_queue(empty: Engine) -> None:
    """
    From nothing to the newest revision; once there, migrating does nothing.
    """
    migrations = Migrations(empty)

    told = [migrations.current(), migrations.upgrade(), migrations.current(), migrations.upgrade()]
    migrations.verify()

    assert [None, HEAD, HEAD, HEAD] == told
    assert migrations.head() == HEAD


def test_the_migrated_schema_is_the_one_of_the_tables(engine: Engine) -> None:
    """
    Alembic finds nothing that a further migration would have to change.
    """
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, **options_for("worker")}
        difference = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert [] == difference


def test_nothing_is_written_outside_of_our_schema(empty: Engine) -> None:
    """
    Neither tables nor functions nor types, neither by migrating nor by working.
    """
    before = things_elsewhere(empty)

    tasks = queue(empty, "worker")
    tasks.migrations().upgrade()
    tasks.enqueue_task().execute(type=TYPE)

    assert before == things_elsewhere(empty, "worker")


@pytest.mark.parametrize("migrators", [2, 5])
def test_migrating_threads_do_it_once(empty_database_url: str, migrators: int) -> None:
    """
    All return, and one has done the work.
    """
    gate = Barrier(migrators)

    def migrate(number: int) -> str:
        with engine_of(empty_database_url) as engine, engine.connect():
            gate.wait(30)
            return Migrations(engine).upgrade()

    with ThreadPoolExecutor(migrators) as pool:
        answers = list(pool.map(migrate, range(migrators)))

    assert [HEAD] * migrators == answers


@pytest.mark.parametrize("isolation_level", ["SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"])
def test_who_waited_for_another_migrator_sees_what_that_one_did(empty: Engine, isolation_level: str) -> None:
    """
    Whatever isolation the application's engine is set to: a snapshot from before the wait would show no schema.
    """
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with engine_of(empty, isolation_level=isolation_level) as engine, ThreadPoolExecutor(1) as thread:
        with empty.begin() as other:
            other.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('migrate worker', 0))"))
            answer = thread.submit(Migrations(engine).upgrade)
            until(lambda: other.scalar(waiting) == 1)
            other.execute(text("CREATE SCHEMA worker"))

        assert HEAD == answer.result(30)


def test_migrating_processes_do_it_once(empty_database_url: str) -> None:
    """
    As when a deployment starts several containers that all migrate first.
    """
    environment = {"DATABASE_URL": empty_database_url, "PATH": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "app", "migrate", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )
        for _ in range(3)
    ]  # fmt: skip

    ends = [(process.communicate(), process.returncode) for process in processes]

    assert [("", 0)] * 3 == [(said, code) for (_, said), code in ends]


def test_two_queues_live_in_one_database(empty: Engine) -> None:
    """
    Each in the schema that its settings name, with tables, versions and tasks of its own.
    """
    one, two = queue(empty, "queue_a"), queue(empty, "select")
    before = things_elsewhere(empty)
    one.migrations().upgrade()
    between = two.migrations().current()
    two.migrations().upgrade()

    one.enqueue_tasks().execute([NewTask(type=TYPE), NewTask(type=TYPE)])
    task = two.enqueue_task().execute(type=TYPE)
    two.cancel_task().execute(task.id)

    assert None is between
    assert [(2, 0), (0, 1)] == [
        (stats.pending, stats.cancelled) for stats in (q.get_task_stats().execute() for q in (one, two))
    ]
    assert before == things_elsewhere(empty, "queue_a", "select")


def test_a_schema_can_be_taken_down_and_made_again(empty: Engine) -> None:
    """
    A downgrade to nothing is a queue that is not there, and says so.
    """
    migrations = Migrations(empty, "queue_a")
    migrations.upgrade()
    go(empty, command.downgrade, "base", "queue_a")
    with pytest.raises(SchemaMismatch, match="has no task queue in schema 'queue_a': run `python -m app migrate`"):
        migrations.verify()

    migrations.upgrade()
    migrations.verify()

    assert 0 == queue(empty, "queue_a").get_task_stats().execute().total


@pytest.mark.parametrize(("before", "told"), [("0002", 1), ("0003", 0), ("base", 0)])
def test_who_migrates_beside_old_workers_is_told(
    empty: Engine, caplog: pytest.LogCaptureFixture, before: str, told: int
) -> None:
    """
    When they are alive and of a version that cannot live with what comes; the migration is done all the same.
    """
    go(empty, command.upgrade, before)
    if before != "base":
        with empty.begin() as connection:
            for name, seen in (("old hand", "now()"), ("long gone", "now() - interval '1 day'")):
                connection.exec_driver_sql(
                    "INSERT INTO worker.workers (id, name, lease, concurrency, types, queues, started_at, last_seen_at)"
                    f" VALUES ('{name}', '{name}', 30, 1, '{{}}', '{{}}', now(), {seen})"
                )

    revision = Migrations(empty).upgrade()

    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (HEAD, told) == (revision, len(said))
    assert all(one.startswith("1 worker(s) of an older version run on: old hand. They complete") for one in said)


def test_a_newer_schema_is_left_alone(engine: Engine) -> None:
    """
    Neither worked on nor migrated: the message says that it is the application which is too old.
    """
    with engine.begin() as connection:
        connection.execute(text("UPDATE worker.schema_version SET version_num = '9999'"))
    migrations = Migrations(engine)

    for verb in (migrations.verify, migrations.upgrade):
        with pytest.raises(SchemaMismatch, match=rf"at revision 9999, .* up to {HEAD}\): update this application"):
            verb()

    assert "9999" == migrations.current()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_verb_without_tables_says_what_to_run(empty_database_url: str, driver: str) -> None:
    """
    The application that forgot to migrate is told so by its first call.
    """
    with engine_of(empty_database_url, driver) as engine:
        tasks = queue(engine, "worker")

        with pytest.raises(SchemaMismatch, match="run `python -m app migrate`") as refused:
            tasks.enqueue_task().execute(type=TYPE)

    assert 1 == len(str(refused.value).splitlines())


async def test_an_awaited_verb_without_tables_says_what_to_run(empty_database_url: str) -> None:
    """
    Over asyncpg as well, whose errors are others.
    """
    async with async_engine_of(empty_database_url, "asyncpg") as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())

        with pytest.raises(SchemaMismatch, match="run `python -m app migrate`"):
            await tasks.enqueue_task().aexecute(type=TYPE)


@pytest.fixture
def role(engine: Engine) -> Iterator[Callable[..., Engine]]:
    """Makes engines of a role that may do no more than it is granted."""
    name = f"{engine.url.database}_runner"
    engines: list[Engine] = []

    def make(*grants: str) -> Engine:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {name}"))
            for grant in grants:
                connection.execute(text(f"GRANT {grant} TO {name}"))
        engines.append(create_engine(engine.url, connect_args={"options": f"-c role={name}"}))
        return engines[-1]

    yield make
    for one in engines:
        one.dispose()
    with engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))


async def test_a_role_that_may_create_nothing_runs_a_queue_that_is_there(role: Callable[..., Engine]) -> None:
    """
    Using the schema and its tables is all it takes, for the worker and for a migrate with nothing to do.
    """
    runner = role("USAGE ON SCHEMA worker", "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker")
    jobs = JobCatalog()
    jobs.define(TYPE)(lambda payload, context: payload)
    tasks = TaskQueueContainer(engine=runner, jobs=jobs)

    revision = tasks.migrations().upgrade()
    tasks.enqueue_task().execute(type=TYPE)
    attempts = await tasks.worker().drain()
    removed = tasks.cleanup_tasks().execute(older_than=0)
    await tasks.aclose()

    assert (HEAD, 1, 1) == (revision, attempts, removed)


def test_a_role_without_its_grants_is_told_so(role: Callable[..., Engine]) -> None:
    """
    In one sentence, whichever verb it tries.
    """
    tasks = queue(role(), "worker")
    told = []
    for verb in (tasks.get_task_stats().execute, tasks.migrations().upgrade, tasks.migrations().verify):
        with pytest.raises(QueueError) as refused:
            verb()
        told.append(str(refused.value).partition(" LINE ")[0])

    assert ["The database does not allow this: permission denied for schema worker"] * 3 == told
