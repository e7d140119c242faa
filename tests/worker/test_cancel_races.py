"""Cancel against completion, in both orders: who comes first has the task, and its effects go the same way."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import Session

from app import IllegalTransition, TaskContext, TaskStatus, WorkerTask
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.effects import Effects, awrites, writes
from tests.worker.running import Rig


@pytest.fixture
def settings(database_url: str) -> Settings:
    """In PostgreSQL alone: only there are row locks. The heartbeat comes late, and nobody takes anybody for dead."""
    return Settings(database_url=database_url, **QUICK | {"worker_lease": 3600})


class Row:
    """The row of a task, held so that whoever wants it stands in line."""

    def __init__(self, url: str) -> None:
        self._holder = psycopg.connect(url)
        self._watch = psycopg.connect(url, autocommit=True)

    def hold(self, task: WorkerTask) -> None:
        self._holder.execute("SELECT FROM worker.tasks WHERE id = %s FOR UPDATE", (task.id,))

    def release(self) -> None:
        self._holder.rollback()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query NOT LIKE 'SELECT count%'"
        )
        [(count,)] = self._watch.execute(query).fetchall()
        return int(count)

    def close(self) -> None:
        self._holder.close()
        self._watch.close()


@pytest.fixture
def row(database_url: str) -> Iterator[Row]:
    row = Row(database_url)
    yield row
    row.close()


class Ends:
    """A handler that ends when it is told, whatever else it hears."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def until_told(self) -> None:
        self.began.set()
        self.may_end.wait()

    def in_thread(self, payload: Any, context: TaskContext) -> str:
        self.until_told()
        return "done"

    def writing(self, payload: Any, context: TaskContext) -> str:
        writes(payload, context)
        self.until_told()
        return "done"

    async def writing_on_loop(self, payload: Any, context: TaskContext) -> str:
        await awrites(payload, context)
        self.began.set()
        while not self.may_end.is_set():  # noqa: ASYNC110  # the test may be in any thread
            await asyncio.sleep(0.01)
        return "done"


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.may_end.set()


KINDS = ["in_thread", "writing", "writing_on_loop"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["completion", "cancel"])
async def test_who_comes_first_decides(
    rig: Rig, effects: Effects, row: Row, ends: Ends, *, kind: str, first: str
) -> None:
    """Both stand in line for the row. Behind a completion the cancel is refused; behind a cancel, the completion.

    What a transactional handler wrote is there if and only if its task has completed.
    """
    transactional = kind != "in_thread"
    rig.define("job", getattr(ends, kind), transactional=transactional, max_attempts=1)
    task = rig.enqueue("job")

    async def cancel() -> WorkerTask | IllegalTransition:
        try:
            return await asyncio.to_thread(rig.tasks.cancel_task().execute, task.id)
        except IllegalTransition as error:
            return error

    async with rig.working():
        await soon(ends.began.is_set, what="the handler has begun")
        row.hold(task)
        if first == "cancel":
            cancelling = asyncio.create_task(cancel())
            await soon(lambda: row.waiting == 1, what="the cancel waits for the row")
            ends.may_end.set()
        else:
            ends.may_end.set()
            await soon(lambda: row.waiting == 1, what="the completion waits for the row")
            cancelling = asyncio.create_task(cancel())
        await soon(lambda: row.waiting == 2, what="both wait for the row")
        row.release()
        answer = await cancelling
        found = await rig.until(task, TaskStatus.CANCELLED if first == "cancel" else TaskStatus.COMPLETED)
        await soon(lambda: effects.open_transactions == 0, what="the session has ended")

    assert (first == "completion") == isinstance(answer, IllegalTransition)
    assert ("done" if first == "completion" else None) == found.result
    assert (["1"] if first == "completion" and transactional else []) == effects.notes


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_that_returns_after_an_accepted_cancel_completes_nothing(
    rig: Rig, effects: Effects, ends: Ends, kind: str
) -> None:
    """Without a word to it: the mark alone refuses its completion, and rolls back what came with it."""
    rig.define("job", getattr(ends, kind), transactional=kind != "in_thread", max_attempts=1)
    task = rig.enqueue("job")

    async with rig.working():
        await soon(ends.began.is_set, what="the handler has begun")
        with rig.tasks.sync_engine().begin() as connection:
            connection.exec_driver_sql("UPDATE worker.tasks SET cancel_requested_at = now()")
        ends.may_end.set()
        found = await rig.until(task, TaskStatus.CANCELLED)

    assert (None, []) == (found.result, effects.notes)


async def test_a_session_of_a_handler_that_heard_of_it_is_rolled_back(rig: Rig, effects: Effects, ends: Ends) -> None:
    """Though it returns, and its job is not transactional: what is cancelled leaves nothing behind."""

    def handler(payload: Any, context: TaskContext) -> str:
        writes(payload, context)
        ends.began.set()
        while not context.is_cancelled():
            ends.may_end.wait(0.01)
        return "done"

    rig.define("job", handler)
    task = rig.enqueue("job")
    async with rig.working():
        await soon(ends.began.is_set, what="the handler has begun")
        rig.tasks.cancel_task().execute(task.id)
        await rig.until(task, TaskStatus.CANCELLED)

    assert [] == effects.notes


@pytest.mark.parametrize("end", ["commits", "rolls back"])
async def test_a_joined_cancel_is_told_with_its_commit(rig: Rig, ends: Ends, end: str) -> None:
    """Neither before it nor without it; by a Session as by a bare Connection."""
    heard: list[str] = []

    async def handler(payload: str, context: TaskContext) -> None:
        ends.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append(payload)
            raise

    rig.define("job", handler)
    for kind in ("connection", "session"):
        ends.began.clear()
        task = rig.enqueue("job", kind)
        async with rig.working():
            await soon(ends.began.is_set, what="the handler has begun")
            with rig.tasks.sync_engine().connect() as connection:
                await _cancel_in(rig, connection, kind, task, commits=end == "commits")
            if end == "commits":
                await rig.until(task, TaskStatus.CANCELLED)
                assert [kind] == heard[-1:]
            else:
                assert (TaskStatus.RUNNING, None) == (rig.find(task).status, rig.find(task).cancel_requested_at)
                assert [] == heard
                rig.tasks.cancel_task().execute(task.id)
                await rig.until(task, TaskStatus.CANCELLED)
                heard.clear()


async def _cancel_in(rig: Rig, connection: Any, kind: str, task: WorkerTask, *, commits: bool) -> None:
    joined = connection if kind == "connection" else Session(connection.engine)
    try:
        rig.tasks.cancel_task().execute_in(joined, task.id)
        assert TaskStatus.RUNNING is rig.find(task).status
        joined.commit() if commits else joined.rollback()
    finally:
        joined.close()
