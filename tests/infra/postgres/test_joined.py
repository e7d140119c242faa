"""Joined transactions: what is enqueued in somebody's session or connection shares its fate, with every driver."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from sqlalchemy import Engine, text

from app import JobCatalog, NewTask, TaskQueueContainer, TaskStatus
from tests.infra.postgres.callers import SYNC_DRIVERS, SYNC_KINDS, TYPE, Shop, engine_of, opened, tells


@pytest.fixture(params=SYNC_DRIVERS)
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """The application's engine, once with each driver."""
    with engine_of(database_url, request.param) as engine:
        yield engine


@pytest.fixture(params=SYNC_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What the application hands in."""
    kind: str = request.param
    return kind


@pytest.fixture
def shop(engine: Engine) -> Shop:
    return Shop(engine=engine)


def test_a_task_is_there_once_its_transaction_commits(shop: Shop, kind: str, engine: Engine) -> None:
    """
    Nobody sees it earlier, and its event is told then; a bare Connection's never.
    """
    due = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    with opened(kind, engine) as session:
        task = shop.tasks.enqueue_task().execute_in(
            session, type=TYPE, payload={"é": [1e22, None]}, tags=["a", 'b"\\,{}'], scheduled_at=due, timeout=2.5
        )
        before = shop.seen()
        session.commit()

    found = shop.tasks.find_task().execute(task.id)
    assert ((0, []), (1, tells(kind, "created"))) == (before, shop.seen())
    assert [{"é": [1e22, None]}, ("a", 'b"\\,{}'), due, 2.5, None] == [
        found.payload, found.tags, found.scheduled_at, found.timeout, found.correlation_id
    ]  # fmt: skip


def test_a_task_is_gone_when_its_transaction_rolls_back(shop: Shop, kind: str, engine: Engine) -> None:
    """
    And the next transaction of the same session does not bring it back.
    """
    with opened(kind, engine) as session:
        shop.tasks.enqueue_task().execute_in(session, type=TYPE)
        session.rollback()
        kept = shop.tasks.enqueue_task().execute_in(session, type=TYPE)
        session.commit()

    assert (1, tells(kind, "created")) == shop.seen()
    assert [kept.id] == [task.id for task in shop.tasks.list_tasks().execute()]


def test_savepoints_keep_and_undo_what_was_enqueued_in_them(shop: Shop, kind: str, engine: Engine) -> None:
    """
    Released ones tell at the commit, those rolled back never, however they are nested.
    """
    with opened(kind, engine) as session:
        enqueue = shop.tasks.enqueue_task()
        outer = enqueue.execute_in(session, type="outer")
        with session.begin_nested():
            released = enqueue.execute_in(session, type="released")
            undone = session.begin_nested()
            enqueue.execute_in(session, type="undone within")
            with session.begin_nested():
                enqueue.execute_in(session, type="released within what is undone")
            undone.rollback()
        undone = session.begin_nested()
        with session.begin_nested():
            enqueue.execute_in(session, type="released within what is undone")
        undone.rollback()
        before = shop.seen()
        session.commit()

    assert ((0, []), (2, tells(kind, "created", "created"))) == (before, shop.seen())
    assert [released.id, outer.id] == [task.id for task in shop.tasks.list_tasks().execute()]


def test_a_released_savepoint_falls_with_its_transaction(shop: Shop, kind: str, engine: Engine) -> None:
    """
    Its release is not a commit, although it looks like one to listeners.
    """
    with opened(kind, engine) as session:
        with session.begin_nested():
            shop.tasks.enqueue_task().execute_in(session, type=TYPE)
        session.rollback()
        session.commit()

    assert (0, []) == shop.seen()


def test_a_session_that_was_closed_uncommitted_tells_nothing_when_used_again(
    shop: Shop, kind: str, engine: Engine
) -> None:
    """
    What it left behind does not ride on the commit of the next transaction.
    """
    enqueue = shop.tasks.enqueue_task()
    with ExitStack() as sessions:
        session = sessions.enter_context(opened(kind, engine))
        enqueue.execute_in(session, type="left behind")
        session.close()

        if kind == "Connection":  # which cannot be used again; its pool hands the same one out
            session = sessions.enter_context(opened(kind, engine))
        kept = enqueue.execute_in(session, type=TYPE)
        session.commit()

    assert (1, tells(kind, "created")) == shop.seen()
    assert [kept.id] == [task.id for task in shop.tasks.list_tasks().execute()]


def test_an_exception_in_the_block_takes_the_task_with_it(shop: Shop, kind: str, engine: Engine) -> None:
    """
    As it does with everything else that was written there.
    """
    with opened(kind, engine) as session, suppress(ZeroDivisionError), session.begin():
        shop.tasks.enqueue_task().execute_in(session, type=TYPE)
        raise ZeroDivisionError

    assert (0, []) == shop.seen()


def test_every_verb_waits_for_the_commit(shop: Shop, kind: str, engine: Engine) -> None:
    """
    Bulk enqueue, cancel and retry join like a single enqueue, and nobody sees half of it.
    """
    enqueue, cancel, retry = shop.tasks.enqueue_tasks(), shop.tasks.cancel_task(), shop.tasks.retry_task()
    kept, dropped = enqueue.execute([NewTask(type="kept"), NewTask(type="dropped")])
    cancel.execute(dropped.id)
    shop.told.events.clear()
    with opened(kind, engine) as session:
        added = enqueue.execute_in(session, [NewTask(type=TYPE, delay=timedelta(hours=1)), NewTask(type=TYPE)])
        cancelled = cancel.execute_in(session, kept.id)
        again = retry.execute_in(session, dropped.id, reset_attempts=True)
        before = shop.tasks.get_task_stats().execute()
        session.commit()

    after = shop.tasks.get_task_stats().execute()
    assert ((1, 1), (3, 1)) == ((before.pending, before.cancelled), (after.pending, after.cancelled))
    assert (TaskStatus.CANCELLED, TaskStatus.PENDING) == (cancelled.status, again.status)
    assert tells(kind, "created", "created", "cancelled", "retried") == shop.told.names
    assert [task.id for task in added] == [task.id for task in shop.tasks.list_tasks().execute(type=TYPE)][::-1]


def test_a_task_on_its_way_back_from_history_is_waited_for(engine: Engine) -> None:
    """
    Somebody retries it in a transaction that is still open; whoever cancels it meanwhile finds it, once that commits.
    """
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    task = tasks.enqueue_task().execute(type=TYPE)
    tasks.cancel_task().execute(task.id)

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            tasks.retry_task().execute_in(connection, task.id)
            cancelling = pool.submit(tasks.cancel_task().execute, task.id)
            wait_for_a_lock(engine)
        cancelled = cancelling.result(10)

    assert TaskStatus.CANCELLED == cancelled.status


def wait_for_a_lock(engine: Engine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = monotonic() + 10
    while monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
    pytest.fail("nobody waits")
