"""context.session: a session of the attempt's own, which ends as the attempt ends."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from app import Constant, FailForGood, JobCatalog, NoDatabase, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.effects import WRITE, Effects, awrites, writes
from tests.worker.running import Rig

KINDS = pytest.mark.parametrize("transactional", [False, True], ids=["plain", "transactional"])


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Short times, in PostgreSQL alone: only there are sessions."""
    return Settings(database_url=database_url, **QUICK)


@KINDS
@pytest.mark.parametrize(("handler", "kind"), [(writes, "Session"), (awrites, "AsyncSession")])
async def test_what_a_handler_wrote_is_committed_when_it_has_returned(
    rig: Rig, effects: Effects, handler: Any, kind: str, transactional: bool
) -> None:
    """It need say nothing; a ``def`` gets a Session, an ``async def`` an AsyncSession."""
    found = await rig.ran(handler, transactional=transactional)

    assert (TaskStatus.COMPLETED, kind) == (found.status, found.result)
    assert (["1"], 0) == (effects.notes, effects.open_transactions)


@KINDS
async def test_a_session_is_one_for_the_attempt_and_left_open_by_with(
    rig: Rig, effects: Effects, transactional: bool
) -> None:
    """Closing it there, as SQLAlchemy would, would roll back what was written."""

    async def handler(payload: Any, context: TaskContext) -> bool:
        async with context.session as session:
            await session.execute(WRITE, {"note": "with"})
        return session is context.session and isinstance(session, AsyncSession)

    def in_thread(payload: Any, context: TaskContext) -> bool:
        with context.session as session:
            session.execute(WRITE, {"note": "in a thread"})
        return session is context.session and isinstance(session, Session)

    rig.define("async", handler, transactional=transactional)
    rig.define("thread", in_thread, transactional=transactional)
    tasks = [rig.enqueue("async"), rig.enqueue("thread")]
    await rig.tasks.worker().drain()

    assert [True, True] == [rig.find(task).result for task in tasks]
    assert ["in a thread", "with"] == effects.notes


@KINDS
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_what_a_failed_attempt_wrote_is_rolled_back(
    rig: Rig, effects: Effects, asynchronous: bool, transactional: bool
) -> None:
    """However it says that it failed; the next attempt begins with nothing of it there."""

    def fails_once(context: TaskContext) -> None:
        if context.task.attempts == 1:
            raise ZeroDivisionError

    async def on_loop(payload: Any, context: TaskContext) -> None:
        await awrites(payload, context)
        fails_once(context)

    def in_thread(payload: Any, context: TaskContext) -> None:
        writes(payload, context)
        fails_once(context)

    handler = on_loop if asynchronous else in_thread
    found = await rig.ran(handler, transactional=transactional, retry=Constant(0))

    assert (TaskStatus.COMPLETED, 2, ["2"]) == (found.status, found.attempts, effects.notes)


@KINDS
async def test_what_a_cancelled_attempt_wrote_is_rolled_back(rig: Rig, effects: Effects, transactional: bool) -> None:
    """At its timeout, on the loop; the connection is free for others afterwards."""

    async def hangs(payload: Any, context: TaskContext) -> None:
        await awrites(payload, context)
        await asyncio.sleep(60)

    found = await rig.ran(hangs, transactional=transactional, timeout=0.3, max_attempts=1)

    assert (TaskStatus.FAILED, [], 0) == (found.status, effects.notes, effects.open_transactions)


@KINDS
async def test_what_a_thread_writes_that_outlives_its_attempt_is_rolled_back(
    rig: Rig, effects: Effects, transactional: bool
) -> None:
    """It alone uses its session, and so it ends it, however late."""
    gate = threading.Event()

    def hangs(payload: Any, context: TaskContext) -> None:
        writes(payload, context)
        gate.wait(30)
        context.session.execute(WRITE, {"note": "late"})

    rig.define("hangs", hangs, transactional=transactional, timeout=0.3, max_attempts=1)
    async with rig.working() as worker:
        await rig.until(rig.enqueue("hangs"), TaskStatus.FAILED)
        assert 1 == worker.left_behind

        gate.set()
        await soon(lambda: worker.left_behind == 0, what="the thread has ended")
        assert ([], 0) == (effects.notes, effects.open_transactions)


async def test_a_handler_may_commit_on_its_way(rig: Rig, effects: Effects) -> None:
    """What it has committed stays whatever comes after."""

    def handler(payload: Any, context: TaskContext) -> None:
        with context.session.begin():
            writes(payload, context)
        context.session.execute(WRITE, {"note": "then"})
        context.session.commit()
        context.session.execute(WRITE, {"note": "at last"})
        raise FailForGood("enough")

    found = await rig.ran(handler)

    assert (TaskStatus.FAILED, ["1", "then"]) == (found.status, effects.notes)


@KINDS
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_a_commit_that_is_refused_fails_the_attempt(
    rig: Rig, effects: Effects, asynchronous: bool, transactional: bool
) -> None:
    """A constraint that is checked then, or what the handler left to be flushed: the database's own words are kept."""
    effects.connection.execute("INSERT INTO effects VALUES ('1')")

    found = await rig.ran(awrites if asynchronous else writes, transactional=transactional, max_attempts=1)

    assert (TaskStatus.FAILED, 1) == (found.status, len(found.errors))
    assert "duplicate key value" in (found.error or "")
    assert ["1"] == effects.notes


@KINDS
@pytest.mark.parametrize("kind", ["async", "thread", "thread among asynchronous hooks"])
async def test_hooks_hear_of_a_commit_that_is_refused(
    rig: Rig, effects: Effects, kind: str, transactional: bool
) -> None:
    """The attempt has failed by it, though its handler had returned."""
    effects.connection.execute("INSERT INTO effects VALUES ('1')")
    told: list[str] = []

    async def hook(payload: Any, context: TaskContext) -> None: ...

    def on_error(payload: Any, context: TaskContext, error: BaseException) -> None:
        told.append(type(error).__name__)

    found = await rig.ran(
        awrites if kind == "async" else writes,
        transactional=transactional,
        max_attempts=1,
        on_error=[on_error],
        before=[hook] if "hooks" in kind else [],
    )

    assert (TaskStatus.FAILED, ["IntegrityError"]) == (found.status, told)
    assert (["1"], 0) == (effects.notes, effects.open_transactions)


@KINDS
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])
async def test_a_handler_that_catches_a_database_error_has_not_done_its_work(
    rig: Rig, effects: Effects, asynchronous: bool, transactional: bool
) -> None:
    """PostgreSQL would roll the transaction back when told to commit it, and say nothing of it."""
    wrong = text("SELECT 1 / 0")

    def in_thread(payload: Any, context: TaskContext) -> None:
        writes(payload, context)
        with pytest.raises(Exception, match="division by zero"):
            context.session.execute(wrong)

    async def on_loop(payload: Any, context: TaskContext) -> None:
        await awrites(payload, context)
        with pytest.raises(Exception, match="division by zero"):
            await context.session.execute(wrong)

    found = await rig.ran(on_loop if asynchronous else in_thread, transactional=transactional, max_attempts=1)

    assert (TaskStatus.FAILED, []) == (found.status, effects.notes)
    assert "current transaction is aborted" in (found.error or "")


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "SERIALIZABLE"])
async def test_sessions_are_read_committed_whatever_the_engine_says(
    database_url: str, effects: Effects, level: Any
) -> None:
    """As our own transactions are: with AUTOCOMMIT nothing would be rolled back."""
    jobs = JobCatalog()

    @jobs.define("job", transactional=True, retry=Constant(0))
    def handler(payload: Any, context: TaskContext) -> str:
        writes(payload, context)
        if context.task.attempts == 1:
            raise ZeroDivisionError
        return str(context.session.connection().get_isolation_level())

    engine = create_engine(database_url, isolation_level=level)
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=jobs)
    task = handler.enqueue(None)
    await tasks.worker().drain()

    assert ("READ COMMITTED", ["2"]) == (tasks.find_task().execute(task.id).result, effects.notes)
    await tasks.aclose()
    engine.dispose()


@pytest.mark.parametrize("given", ["engine", "async_engine"])
async def test_both_kinds_of_handler_get_theirs_from_either_engine(
    database_url: str, effects: Effects, given: str
) -> None:
    """The other one is derived from the URL of the one that the application has handed in."""
    jobs = JobCatalog()
    jobs.define("sync")(writes)
    jobs.define("async")(awrites)
    engine: Any = create_engine(database_url) if given == "engine" else create_async_engine(database_url)
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=jobs)

    outcomes = []
    for type in ("sync", "async"):
        task = tasks.enqueue_task().execute(type=type)
        await tasks.worker().drain()
        outcomes.append(tasks.find_task().execute(task.id))
        effects.connection.execute("TRUNCATE effects")

    assert ["Session", "AsyncSession"] == [outcome.result for outcome in outcomes], outcomes[-1].error
    await tasks.aclose()
    disposed = engine.dispose()
    if given == "async_engine":
        await disposed


async def test_a_queue_in_memory_has_no_session_and_says_so() -> None:
    """The attempt has failed with a sentence about what to do; a job that does not ask runs as ever."""
    jobs = JobCatalog()
    jobs.define("asks", max_attempts=1)(writes)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=jobs)

    @jobs.define("asks not", transactional=True)
    def asks_not(payload: Any, context: TaskContext) -> str:
        return "done"

    asking, other = tasks.enqueue_task().execute(type="asks", max_attempts=1), asks_not.enqueue(None)
    await tasks.worker().drain()

    failed = tasks.find_task().execute(asking.id)
    assert failed.errors[0].type.endswith("NoDatabase")
    assert "give the container an engine or a database_url" in failed.errors[0].message
    assert "done" == await other.aresult()
    with pytest.raises(NoDatabase):
        TaskContext(failed, "w").session  # noqa: B018  # asking is the point
    await tasks.aclose()


@KINDS
async def test_a_job_that_is_run_here_and_now_has_its_session_too(
    rig: Rig, effects: Effects, transactional: bool
) -> None:
    """Committed when it has returned, with no task to complete; rolled back when it failed."""
    jobs = rig.jobs
    written = jobs.define("sync", transactional=transactional)(writes)

    @jobs.define("async", transactional=transactional)
    async def failing(payload: Any, context: TaskContext) -> None:
        await context.session.execute(WRITE, {"note": "failed"})
        raise ZeroDivisionError

    outcomes = [await written.arun(None), await failing.arun(None)]

    assert [True, False] == [outcome.succeeded for outcome in outcomes]
    assert ["1"] == effects.notes
