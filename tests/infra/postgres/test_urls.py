"""URLs: whatever the password is made of it opens the door, and it is seen nowhere."""

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from app import DatabaseUnavailable, InvalidInput, JobCatalog, QueueError, TaskQueueContainer
from app.infra.settings import InvalidSettings, Settings
from tests.infra.postgres.callers import ASYNC_DRIVERS, TYPE, async_engine_of
from tests.infra.postgres.proxy import Proxy
from tests.server import OwnServer

PASSWORD = "p@ss/w:rd%?#& é+"
USER = "o'dd@us/er:%"
SECRET = "h1dden"


@dataclass(frozen=True)
class Guarded:
    """A server that wants a password, reached by TCP."""

    proxy: Proxy
    server: OwnServer

    def url(self, *, user: str = USER, password: str | None = PASSWORD, query: str = "") -> str:
        return self.proxy.url(username=user, password=password, database="postgres") + query


@pytest.fixture(scope="module")
def guarded(server_folder: Path) -> Iterator[Guarded]:
    server = OwnServer(server_folder / uuid4().hex[:8])
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        for user, encryption in ((USER, "scram-sha-256"), ("old", "md5")):
            connection.execute(sql.SQL("SET password_encryption = {}").format(encryption))
            role = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
            connection.execute(role.format(sql.Identifier(user), sql.Literal(PASSWORD)))
        [path] = connection.execute("SHOW hba_file").fetchone() or ()
        Path(path).write_text("local all postgres trust\nlocal all old md5\nlocal all all scram-sha-256\n")
        connection.execute("SELECT pg_reload_conf()")
    with Proxy(server.url) as proxy:
        yield Guarded(proxy, server)
    server.stop()


def queue(url: str) -> TaskQueueContainer:
    return TaskQueueContainer(settings=Settings(database_url=url), jobs=JobCatalog())


def everywhere(error: BaseException) -> str:
    """All that a log would hold of an error: its repr, and its traceback with every cause."""
    return repr(error) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize("user", [USER, "old"])
def test_a_password_of_any_characters_opens_the_door(guarded: Guarded, user: str) -> None:
    """
    Percent-encoded in the URL, user and password, for migrations, callers sync and async, and the worker.
    """
    tasks = queue(guarded.url(user=user))
    tasks.migrations().upgrade()
    before = tasks.get_task_stats().execute().total

    tasks.enqueue_task().execute(type=TYPE)
    asyncio.run(tasks.enqueue_task().aexecute(type=TYPE))
    attempts = asyncio.run(tasks.worker().drain())
    after = tasks.get_task_stats().execute().total
    tasks.close()

    assert (2, 0) == (after - before, attempts)


async def test_a_password_opens_the_door_of_a_derived_engine(guarded: Guarded) -> None:
    """
    The URL of the application's asynchronous engine is taken over whole.
    """
    async with async_engine_of(guarded.url(), "asyncpg") as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
        await asyncio.to_thread(tasks.migrations().upgrade)

        known = tasks.get_task_stats().execute() == await tasks.get_task_stats().aexecute()
        await tasks.aclose()

    assert known


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_any_scheme_of_postgresql_will_do(guarded: Guarded, scheme: str) -> None:
    """
    The one that hosting providers still hand out, and those that name another driver.
    """
    tasks = queue(f" {scheme}{guarded.url().removeprefix('postgresql')}\n")
    with tasks.sync_engine().connect() as connection:
        user = connection.scalar(text("SELECT current_user"))
    tasks.close()

    assert USER == user


def test_the_parameters_of_an_url_go_before_ours(guarded: Guarded) -> None:
    """
    What libpq knows may stand there, a password too, which then is hidden like another.
    """
    password = "p%40ss%2Fw%3Ard%25%3F%23%26%20%C3%A9%2B"
    query = (
        f"?application_name=the%20shop&sslmode=prefer&options=-c%20statement_timeout%3D7s"
        f"&connect_timeout=3&tcp_user_timeout=1000&password={password}"
    )
    tasks = queue(guarded.url(password=None, query=query))
    with tasks.sync_engine().connect() as connection:
        name, timeout = connection.execute(
            text("SELECT current_setting('application_name'), current_setting('statement_timeout')")
        ).one()
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        parameters = driver.info.get_parameters()
    shown = repr(tasks.sync_engine())
    tasks.close()

    assert ("the shop", "7s", "3", "1000") == (
        name, timeout, parameters["connect_timeout"], parameters["tcp_user_timeout"]
    )  # fmt: skip
    assert [] == [part for part in ("password", "p%40", "p@") if part in shown]


def test_a_wrong_password_is_refused_without_being_told(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    """
    One sentence about a user, from every verb, and no word of the secret in its whole traceback or in any log.
    """
    caplog.set_level(logging.DEBUG)
    tasks = queue(guarded.url(password="wr@ng/secret:1"))
    errors: list[BaseException] = []
    for verb in (tasks.get_task_stats().execute, tasks.migrations().upgrade, tasks.migrations().current):
        with pytest.raises(DatabaseUnavailable) as refused:
            verb()
        errors.append(refused.value)
    with pytest.raises(DatabaseUnavailable) as refused:
        asyncio.run(tasks.get_task_stats().aexecute())
    errors.append(refused.value)
    shown = [*map(everywhere, errors), caplog.text, repr(tasks.settings()), str(tasks.settings().model_dump())]
    shown += [repr(tasks.engines().sync), repr(tasks.engines().asynchronous), repr(vars(tasks.engines()))]
    tasks.close()

    assert [True] * 4 == ["password authentication failed for user" in str(error) for error in errors]
    assert [True] * 4 == ["\n" not in str(error) for error in errors]
    assert [] == [part for part in ("wr@ng", "wr%40ng", "secret") for one in shown if part in one]


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
async def test_an_engine_with_a_wrong_password_is_refused_without_its_being_told(guarded: Guarded, driver: str) -> None:
    """
    Nor is it where the application brings the engine, and its driver words the error.
    """
    async with async_engine_of(guarded.url(password=SECRET), driver) as engine:
        tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
        with pytest.raises(DatabaseUnavailable, match="password authentication failed for user") as refused:
            await tasks.get_task_stats().aexecute()
        await tasks.aclose()

    assert SECRET not in everywhere(refused.value)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (f"nonsense {SECRET}", "must look like postgresql://user:password@host:5432/name"),
        (f"postgresql://me:half/{SECRET}@host:{SECRET}/db", "must look like postgresql://user:password@host:5432/name"),
        (f"postgresql://me:half@{SECRET}@host/db", "must have every @ in its user or password written as %40"),
        (f"mysql://me:{SECRET}@host/db", "must begin with postgresql:// (given: 'mysql://…')"),
        (f"sqlite:///{SECRET}.db", "must begin with postgresql:// (given: 'sqlite://…')"),
        (
            f"postgresql://me:{SECRET}@host/db?pgbouncer={SECRET}",
            "must have parameters that libpq knows (given: 'pgbouncer",
        ),
    ],
)
def test_an_url_that_leads_nowhere_is_refused_without_being_told(url: str, rule: str) -> None:
    """
    The message says which variable, and what it should look like; the secret is not even in the error's causes.
    """
    tasks = queue(url)

    with pytest.raises(InvalidInput) as refused:
        tasks.enqueue_task().execute(type=TYPE)

    assert str(refused.value).startswith(f"DATABASE_URL: {rule}")
    assert SECRET not in everywhere(refused.value)


def test_wrong_settings_tell_no_password() -> None:
    """
    Those beside it are what is wrong, and the message is about those.
    """
    with pytest.raises(InvalidSettings) as refused:
        Settings(database_url=f"postgresql://me:{SECRET}@host/db", smtp_password=SECRET, worker_concurrency=0)

    assert "WORKER_CONCURRENCY" in str(refused.value)
    assert SECRET not in everywhere(refused.value)


def test_settings_show_no_password() -> None:
    """
    Neither printed, nor dumped, nor as JSON.
    """
    settings = Settings(database_url=f"postgresql://me:{SECRET}@host/db", smtp_password=SECRET)

    shown = [repr(settings), str(settings), json.dumps(settings.model_dump(mode="json")), settings.model_dump_json()]

    assert [] == [one for one in shown if SECRET in one]


def test_every_refusal_is_of_one_root() -> None:
    """
    So that a program which catches that prints a sentence.
    """
    assert [True] * 3 == [issubclass(kind, QueueError) for kind in (InvalidInput, InvalidSettings, DatabaseUnavailable)]
