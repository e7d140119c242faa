"""Rights on tables: a role that ran the queue before a migration runs it after, and nobody else gains any."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, text

from app import JobCatalog, TaskQueueContainer, TaskStatus
from app.infra.postgres.migrations import Migrations
from tests.infra.postgres.callers import TYPE, engine_of

ROOT = Path(__file__).parents[3]
BEFORE = "0002"
NEW = ("dead_letter_actions", "finished", "finished_dead", "finished_kept", "schedules", "ticks", "upkeep")
RIGHTS = text(
    "SELECT relname, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS role,"
    " string_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ' ' ORDER BY privilege_type)"
    " FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl)"
    " WHERE nspname = 'worker' AND relkind IN ('r', 'p') AND grantee <> relowner GROUP BY 1, 2"
)


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    """An engine on a database with nothing in it."""
    with engine_of(empty_database_url) as engine:
        yield engine


@contextmanager
def role_named(engine: Engine, name: str) -> Iterator[str]:
    """A role that may log in, for as long as it is needed; its name as SQL has it."""
    quoted = sql_of(f"{name} {engine.url.database}")
    said(engine, f"CREATE ROLE {quoted} LOGIN")
    yield quoted
    said(engine, f"DROP OWNED BY {quoted}", f"DROP ROLE {quoted}")


@pytest.fixture
def runner(empty: Engine) -> Iterator[str]:
    """A role with a name that has to be quoted."""
    with role_named(empty, '50% "runner"') as role:
        yield role


@pytest.fixture
def other(empty: Engine) -> Iterator[str]:
    """Another role."""
    with role_named(empty, "other") as role:
        yield role


def sql_of(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def name_of(role: str) -> str:
    return role[1:-1].replace('""', '"')


def said(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def go(engine: Engine, direction: Any, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic"))
    with engine.connect() as connection:
        config.attributes.update(connection=connection, schema="worker")
        direction(config, revision)


def rights(engine: Engine) -> dict[str, dict[str, str]]:
    """By table and role: its rights, those that it may pass on with a star."""
    found: dict[str, dict[str, str]] = {}
    with engine.connect() as connection:
        for table, role, granted in connection.execute(RIGHTS):
            found.setdefault(table, {})[sql_of(role)] = granted
    return found


async def test_a_role_works_whole_tasks_before_and_after(empty: Engine, runner: str) -> None:
    """
    It was granted all tables once, at the version before, and no more when that was migrated.
    """
    go(empty, command.upgrade, BEFORE)
    said(
        empty,
        f"GRANT USAGE ON SCHEMA worker TO {runner}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker TO {runner}",
    )
    Migrations(empty).allow_operator(name_of(runner))
    Migrations(empty).upgrade()
    jobs = JobCatalog()
    job = jobs.define(TYPE)(lambda payload, context: payload)
    jobs.schedule(job, key="daily", cron="0 4 * * *")
    engine = create_engine(empty.url.set(username=name_of(runner)))
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)

    task = tasks.enqueue_task().execute(type=TYPE)
    attempts = await tasks.worker().drain()
    status = tasks.find_task().execute(task.id).status
    listed = tasks.list_tasks().execute()
    [schedule] = tasks.list_schedules().execute()
    unwanted = tasks.enqueue_task().execute(type=TYPE)
    said(engine, f"SELECT worker.cancel('{unwanted.id}')")
    removed = tasks.cleanup_tasks().execute(older_than=0)
    await tasks.aclose()
    engine.dispose()

    assert (1, TaskStatus.COMPLETED, [task.id], "daily", 2) == (
        attempts, status, [one.id for one in listed], schedule.key, removed,
    )  # fmt: skip


def test_new_tables_have_the_rights_of_the_old_ones(empty: Engine, runner: str, other: str) -> None:
    """
    Each role's own ones, with what may be passed on and with everybody's; nobody has any that it did not have.
    """
    go(empty, command.upgrade, BEFORE)
    said(
        empty,
        f"GRANT SELECT, DELETE ON worker.finished TO {runner}",
        f"GRANT UPDATE, INSERT ON worker.finished TO {runner} WITH GRANT OPTION",
        "GRANT SELECT ON worker.finished TO PUBLIC",
        f"GRANT SELECT ON worker.tasks TO {other} WITH GRANT OPTION",
    )
    before = rights(empty)

    Migrations(empty).upgrade()
    after = rights(empty)

    of_finished = {runner: "DELETE INSERT* SELECT UPDATE*", '"PUBLIC"': "SELECT"}
    assert {"finished": of_finished, "tasks": {other: "SELECT*"}} == before
    for table in NEW:
        assert (table, of_finished if table.startswith("finished") else {other: "SELECT*"}) == (table, after[table])
    assert {"finished_days", "tasks", *NEW} == after.keys()


def test_going_back_leaves_the_rights(empty: Engine, runner: str) -> None:
    """
    Those of before, and those that were granted at the newer version.
    """
    go(empty, command.upgrade, BEFORE)
    said(empty, f"GRANT SELECT ON worker.tasks, worker.finished TO {runner}")
    Migrations(empty).upgrade()
    said(empty, f"GRANT INSERT ON worker.finished TO {runner} WITH GRANT OPTION")

    go(empty, command.downgrade, BEFORE)

    assert {"finished": {runner: "INSERT* SELECT"}, "tasks": {runner: "SELECT"}} == rights(empty)
