"""Joined transactions of applications with ways of their own: settings, mappings, and what is no session at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from app import InvalidInput, JobCatalog, SchemaMismatch, TaskQueueContainer
from app.infra.settings import Settings
from tests.infra.postgres.callers import TYPE, Shop, engine_of
from tests.server import OwnServer


class Base(DeclarativeBase):
    """The application's models, in its own schema."""


class Order(Base):
    """An order that is to be shipped."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


@pytest.fixture
def shop(engine: Engine) -> Shop:
    Base.metadata.create_all(engine)
    return Shop(engine=engine)


def test_an_order_and_its_task_are_stored_together(shop: Shop, engine: Engine) -> None:
    """
    The flow that all this exists for: add, flush for the id, enqueue with it.
    """
    enqueue = shop.tasks.enqueue_task()
    with Session(engine) as session, session.begin():
        order = Order(customer="Ada")
        session.add(order)
        session.flush()
        enqueue.execute_in(session, type=TYPE, payload={"order": order.id})
    with Session(engine) as session:
        session.add(order := Order(customer="Bob"))
        session.flush()
        enqueue.execute_in(session, type=TYPE, payload={"order": order.id})
        session.rollback()

    with Session(engine) as session:
        orders = [order.id for order in session.query(Order)]
    assert orders == [task.payload["order"] for task in shop.tasks.list_tasks().execute()]
    assert (1, ["created"]) == shop.seen()


@pytest.mark.parametrize("path", ["''", "pg_catalog", '"$user", elsewhere', "worker"])
def test_the_search_path_of_the_caller_does_not_matter(shop: Shop, engine: Engine, path: str) -> None:
    """
    Everything of ours is named with its schema; and the path is left as it was.
    """
    with engine.connect() as connection:
        connection.execute(text(f"SET search_path TO {path}"))
        before = connection.scalar(text("SHOW search_path"))
        task = shop.tasks.enqueue_task().execute_in(connection, type=TYPE)
        shop.tasks.cancel_task().execute_in(connection, task.id)
        shop.tasks.retry_task().execute_in(connection, task.id)
        after = connection.scalar(text("SHOW search_path"))
        connection.commit()

    assert (before, 1) == (after, shop.tasks.get_task_stats().execute().pending)


CALLERS_OPTIONS: list[dict[str, Any]] = [
    {"isolation_level": "AUTOCOMMIT"},
    {"isolation_level": "SERIALIZABLE"},
    {"isolation_level": "REPEATABLE READ"},
    {"stream_results": True},
    {"yield_per": 10},
    {"compiled_cache": None},
    {"schema_translate_map": {None: "tenant_1"}},
    {"schema_translate_map": {"worker": "tenant_1"}},
]


def test_the_options_of_the_callers_connection_do_not_matter(shop: Shop, engine: Engine) -> None:
    """
    Isolation, server-side cursors and maps of schemas are for the caller's statements, and stay as they were.
    """
    after = []
    for options in CALLERS_OPTIONS:
        with engine.connect().execution_options(**options) as connection:
            task = shop.tasks.enqueue_task().execute_in(connection, type=TYPE)
            shop.tasks.cancel_task().execute_in(connection, task.id)
            connection.commit()
            after.append(dict(connection.get_execution_options()))

    assert CALLERS_OPTIONS == after
    assert len(CALLERS_OPTIONS) == shop.tasks.get_task_stats().execute().cancelled


def test_a_schema_of_our_own_does_not_reach_the_callers_statements(engine: Engine) -> None:
    """
    An application with a schema called ``worker`` of its own still finds its tables there.
    """
    settings = Settings(worker_schema="queue_b")
    tasks = TaskQueueContainer(settings=settings, engine=engine, jobs=JobCatalog())
    tasks.migrations().upgrade()
    with Session(engine) as session:
        tasks.enqueue_task().execute_in(session, type=TYPE)
        options = dict(session.connection().get_execution_options())
        in_theirs = Shop(engine=engine).tasks.get_task_stats().execute_in(session)
        in_ours = tasks.get_task_stats().execute_in(session)

    assert ({}, 0, 1) == (options, in_theirs.total, in_ours.total)


def test_a_session_within_a_transaction_of_the_tests_tells_at_its_own_commit(shop: Shop, engine: Engine) -> None:
    """
    As applications test: the Session commits savepoints, and the outer transaction is rolled back in the end.
    """
    with engine.connect() as connection:
        connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            shop.tasks.enqueue_task().execute_in(session, type=TYPE)
            session.commit()
            inside = shop.tasks.get_task_stats().execute_in(session).total
        connection.rollback()

    assert (1, (0, ["created"])) == (inside, shop.seen())


def test_a_transaction_in_two_phases_can_be_joined(own_server: Callable[..., OwnServer]) -> None:
    """
    PostgreSQL prepares none that notifies, so workers find such tasks by looking.
    """
    with engine_of(own_server(max_prepared_transactions="2").url) as engine:
        shop = Shop(engine=engine)
        shop.tasks.migrations().upgrade()
        with Session(engine, twophase=True) as session:
            shop.tasks.enqueue_task().execute_in(session, type=TYPE)
            session.commit()

        assert (1, ["created"]) == shop.seen()


def test_a_session_goes_on_after_the_tables_were_missing(empty_database_url: str) -> None:
    """
    The error says what to run, and a savepoint saves the rest of the transaction.
    """
    with engine_of(empty_database_url) as engine:
        shop = Shop(engine=engine)
        with Session(engine) as session:
            savepoint = session.begin_nested()
            with pytest.raises(SchemaMismatch, match="run `python -m app migrate`"):
                shop.tasks.enqueue_task().execute_in(session, type=TYPE)
            savepoint.rollback()

            assert 1 == session.scalar(text("SELECT 1"))


@pytest.fixture
def sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_session_of_another_database_is_refused(shop: Shop, sqlite: Connection) -> None:
    """
    Before anything is sent there.
    """
    with pytest.raises(InvalidInput) as refused:
        shop.tasks.enqueue_task().execute_in(Session(sqlite), type=TYPE)

    assert "session: must be connected to the queue's PostgreSQL (given: 'sqlite')" == str(refused.value)


async def test_what_is_no_session_is_refused(shop: Shop, engine: Engine, async_engine: AsyncEngine) -> None:
    """
    The error says what is wanted, and which verb the other kind is for.
    """
    enqueue = shop.tasks.enqueue_task()
    either: list[Any] = [engine, sessionmaker(engine), None, async_engine]
    for wrong in (*either, AsyncSession(async_engine)):
        with pytest.raises(InvalidInput, match=r"session: must be a SQLAlchemy Session .*: aexecute_in\)"):
            enqueue.execute_in(wrong, type=TYPE)
    for wrong in (*either, Session(engine), scoped_session(sessionmaker(engine))):
        with pytest.raises(InvalidInput, match=r"session: must be a SQLAlchemy AsyncSession .*: execute_in\)"):
            await enqueue.aexecute_in(wrong, type=TYPE)

    assert (0, []) == shop.seen()


def test_a_session_bound_by_mapper_is_refused_with_the_way_out(shop: Shop, engine: Engine) -> None:
    """
    It has no one connection; the one to join can be named.
    """
    with Session(binds={Order: engine}) as session:
        with pytest.raises(InvalidInput, match="bind_arguments"):
            shop.tasks.enqueue_task().execute_in(session, type=TYPE)
        shop.tasks.enqueue_task().execute_in(session.connection(bind_arguments={"mapper": Order}), type=TYPE)
        session.commit()

    assert (1, []) == shop.seen()
