"""Transactional jobs: what the handler wrote and the completion of its task are committed together, or neither."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from app import Constant, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus, WorkerTask
from app.infra.settings import Settings
from tests.faults.proxy import Proxy
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.effects import WRITE, Effects, awrites, writes
from tests.worker.running import Rig


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Short times, in PostgreSQL alone: only there are sessions."""
    return Settings(database_url=database_url, **QUICK)


@pytest.mark.parametrize("catches", [False, True], ids=["raises", "catches"])
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_a_transactional_handler_that_commits_has_failed(
    rig: Rig, effects: Effects, asynchronous: bool, catches: bool
) -> None:
    """Its effects would be there without its completion; caught or not, the attempt shows it and nothing is stored."""

    async def on_loop(payload: Any, context: TaskContext) -> None:
        try:
            await awrites(payload, context)
            await context.session.commit()
        except Exception:
            if not catches:
                raise

    def in_thread(payload: Any, context: TaskContext) -> None:
        try:
            with context.session.begin():
                writes(payload, context)
        except Exception:
            if not catches:
                raise

    found = await rig.ran(on_loop if asynchronous else in_thread, transactional=True, max_attempts=1)

    assert (TaskStatus.FAILED, []) == (found.status, effects.notes)
    assert found.errors[0].type.endswith("CommitRefused")
    assert "must not be committed by its handler" in found.errors[0].message


async def test_a_transactional_handler_may_use_savepoints(rig: Rig, effects: Effects) -> None:
    """Those end within the transaction."""

    def handler(payload: Any, context: TaskContext) -> None:
        with context.session.begin_nested():
            writes(payload, context)
        savepoint = context.session.begin_nested()
        context.session.execute(WRITE, {"note": "undone"})
        savepoint.rollback()

    found = await rig.ran(handler, transactional=True)

    assert (TaskStatus.COMPLETED, ["1"]) == (found.status, effects.notes)


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_effects_of_a_lost_lease_are_rolled_back_with_the_completion(
    rig: Rig, effects: Effects, asynchronous: bool
) -> None:
    """The fence is asked in the same transaction, and everybody hears of it once it has said no."""
    told: list[str] = []
    signals = rig.tasks.signals()
    for name in ("completed", "failed", "lease_lost"):
        getattr(signals, name).connect(lambda sender, event, name=name: told.append(name), weak=False)

    def takes_the_lease(context: TaskContext) -> None:
        effects.connection.execute(
            "UPDATE worker.tasks SET lease_seq = lease_seq + 1 WHERE id = %s", (context.task.id,)
        )

    async def on_loop(payload: Any, context: TaskContext) -> None:
        await awrites(payload, context)
        takes_the_lease(context)

    def in_thread(payload: Any, context: TaskContext) -> None:
        writes(payload, context)
        takes_the_lease(context)

    rig.define("job", on_loop if asynchronous else in_thread, transactional=True)
    task = rig.enqueue("job")
    async with rig.working():
        await soon(lambda: told, what="somebody hears of it")

    assert (TaskStatus.RUNNING, [], ["lease_lost"]) == (rig.find(task).status, effects.notes, told)


async def test_completion_and_effects_are_told_of_once_after_the_commit(rig: Rig, effects: Effects) -> None:
    """By the time that a receiver hears of it, both are there for everybody."""
    seen: list[tuple[TaskStatus, list[str]]] = []

    def look(sender: str, event: Any) -> None:
        seen.append((rig.find(event.task).status, effects.notes))

    rig.tasks.signals().completed.connect(look)
    await rig.ran(awrites, transactional=True)

    assert [(TaskStatus.COMPLETED, ["1"])] == seen


async def test_a_serializable_transaction_that_collides_is_tried_again(rig: Rig, effects: Effects) -> None:
    """The handler asks for the isolation with its first statement; a conflict is a failed attempt like any other."""

    async def handler(payload: Any, context: TaskContext) -> str:
        connection = await context.session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        await context.session.execute(text("SELECT count(*) FROM effects"))
        await awrites(payload, context)
        if context.task.attempts == 1:
            with effects.connection.transaction():
                effects.connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                effects.connection.execute("SELECT count(*) FROM effects")
                effects.connection.execute("INSERT INTO effects VALUES ('other')")
        return str(await connection.get_isolation_level())

    found = await rig.ran(handler, transactional=True, retry=Constant(0))

    assert (TaskStatus.COMPLETED, "SERIALIZABLE", 2) == (found.status, found.result, found.attempts)
    assert "could not serialize access" in found.errors[0].message
    assert ["2", "other"] == effects.notes


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten(
    database_url: str, effects: Effects, asynchronous: bool
) -> None:
    """It was through: the worker finds the completed task, tells of it once, and runs nothing again."""
    proxy = Proxy(database_url)
    try:
        told, found = await _through(
            proxy.url, asynchronous, lambda session: proxy.lose_the_answer_to_the_commit_of("effects")
        )
    finally:
        proxy.close()

    assert proxy.lost.is_set()
    assert (TaskStatus.COMPLETED, 1, []) == (found.status, found.attempts, found.errors)
    assert (["1"], ["completed"]) == (effects.notes, told)


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_a_commit_that_never_arrived_is_a_failed_attempt(
    database_url: str, effects: Effects, asynchronous: bool
) -> None:
    """Nothing of it is there, and the next attempt does it all."""

    def end_its_connection(session: Session) -> None:
        process = session.scalar(text("SELECT pg_backend_pid()"))
        effects.connection.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))

    told, found = await _through(database_url, asynchronous, end_its_connection)

    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert (["2"], ["failed", "completed"]) == (effects.notes, told)


async def _through(url: str, asynchronous: bool, at_commit: Callable[[Session], None]) -> tuple[list[str], WorkerTask]:
    """What was told of a transactional task, and the task; *at_commit* is called in its first attempt, settled then."""
    jobs, told = JobCatalog(), list[str]()

    async def on_loop(payload: Any, context: TaskContext) -> None:
        await awrites(payload, context)
        if context.task.attempts == 1:
            event.listen(context.session.sync_session, "before_commit", at_commit)

    def in_thread(payload: Any, context: TaskContext) -> None:
        writes(payload, context)
        if context.task.attempts == 1:
            event.listen(context.session, "before_commit", at_commit)

    handler: Any = on_loop if asynchronous else in_thread
    jobs.define("job", transactional=True, retry=Constant(0))(handler)
    quick = QUICK | {"worker_poll_interval": 5, "worker_stale_check_interval": 10}
    tasks = TaskQueueContainer(settings=Settings(database_url=url, **quick), jobs=jobs)
    for name in ("completed", "failed", "lease_lost"):
        getattr(tasks.signals(), name).connect(lambda sender, event, name=name: told.append(name), weak=False)
    rig = Rig(tasks, jobs)
    async with rig.working():
        task = rig.enqueue("job")
        await soon(lambda: "completed" in told or "lease_lost" in told, what="how it ended")
    found = rig.find(task)
    await tasks.aclose()
    return told, found


async def test_progress_of_a_task_whose_row_is_held_holds_nobody_up(rig: Rig, database_url: str) -> None:
    """As a session does while it commits: what others have ended in goes through, and the next report as well."""
    held, free = asyncio.Event(), asyncio.Event()

    async def reports(payload: Any, context: TaskContext) -> None:
        await held.wait()
        context.progress(50)
        await free.wait()
        context.progress(60)

    async def other(payload: Any, context: TaskContext) -> None:
        pass

    rig.define("reports", reports)
    rig.define("other", other)
    task = rig.enqueue("reports")
    async with rig.working():
        await rig.until(task, TaskStatus.RUNNING)
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT FROM worker.tasks WHERE id = %s FOR UPDATE", (task.id,))
            held.set()
            await rig.until(rig.enqueue("other"), TaskStatus.COMPLETED, within=5)
            progress = rig.find(task).progress
        free.set()
        found = await rig.until(task, TaskStatus.COMPLETED)

    assert (None, 60) == (progress, found.progress)
