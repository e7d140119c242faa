"""Hints: what is said after a commit, each thing once, in payloads that PostgreSQL takes, and how it is heard."""

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from app import JobCatalog, TaskQueueContainer
from app.infra.postgres.hints import SCHEDULES, Hints, cancelled_in
from app.infra.postgres.notifications import PostgresNotifications
from app.infra.postgres.workers import BEAT
from app.usecases.transaction import Transaction
from tests.examples import new_ids
from tests.faults.waiting import eventually


@pytest.fixture
def tasks(engine: Engine) -> Iterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    yield tasks
    tasks.close()


@pytest.fixture
def said(database_url: str) -> Iterator[Callable[[], list[str]]]:
    """What has been said on the workers' channel since it was last asked for."""
    ear = psycopg.connect(database_url, autocommit=True)
    mouth = psycopg.connect(database_url, autocommit=True)
    ear.execute("LISTEN worker_tasks")

    def since() -> list[str]:
        mouth.execute("NOTIFY worker_tasks, 'until now'")
        payloads: list[str] = []
        for notification in ear.notifies(timeout=10):
            if notification.payload == "until now":
                break
            payloads.append(notification.payload)
        return payloads

    yield since
    ear.close()
    mouth.close()


def test_many_cancels_are_said_in_few_words(tasks: TaskQueueContainer, said: Callable[[], list[str]]) -> None:
    """Two hundred a payload, which is less than eight thousand bytes; each once, and before everything else."""
    ids = new_ids(450)
    herald = tasks.herald()

    herald.tell(Hints(["mail"], cancelled=ids, rescheduled=True))
    herald.flush()
    payloads = said()

    *cancels, schedules, queue = payloads
    heard = [one for payload in cancels for one in cancelled_in(payload) or ()]
    assert (sorted(ids), 3, SCHEDULES, "mail") == (sorted(heard), len(cancels), schedules, queue)
    assert max(map(len, payloads)) < 8000


def test_what_comes_meanwhile_is_said_once() -> None:
    """Of hints that wait together."""
    [one, other] = new_ids(2)
    hints = Hints(["a"], cancelled=[one])

    for more in (Hints(["a", "b"], cancelled=[other, one]), Hints(rescheduled=True), Hints(rescheduled=True)):
        hints.add(more)

    [told] = hints.for_all("worker")
    assert f"\x01cancel {','.join(sorted((one.hex, other.hex)))}" == told["payloads"][0]
    assert [SCHEDULES, "a", "b"] == told["payloads"][1:]
    assert (True, False) == (bool(hints), bool(Hints()))


@pytest.mark.parametrize("joined", ["own", "connection", "session", "two-phase"])
def test_they_are_said_with_the_commit(
    tasks: TaskQueueContainer, engine: Engine, said: Callable[[], list[str]], joined: str
) -> None:
    """And not before; a transaction in two phases cannot, and heartbeats find what it leaves."""
    [one] = new_ids(1)
    unit_of_work: Any = tasks.unit_of_work()

    def tell(tx: Transaction) -> None:
        tx.interrupt([one])
        tx.reschedule()

    if joined == "own":
        unit_of_work.run(tell)
    else:
        with engine.connect() as connection:
            session: Session | Connection = Session(engine) if joined == "session" else connection
            if joined == "two-phase":
                connection.begin_twophase()
            unit_of_work.join(session, tell)
            tasks.herald().flush()
            assert [] == said()
            session.commit()
            session.close()
    tasks.herald().flush()

    assert ([] if joined == "two-phase" else [f"\x01cancel {one.hex}", SCHEDULES]) == said()


def test_a_rolled_back_one_is_never_said(
    tasks: TaskQueueContainer, engine: Engine, said: Callable[[], list[str]]
) -> None:
    """Neither of a Session nor of a Connection."""
    unit_of_work: Any = tasks.unit_of_work()
    for make in (lambda: Session(engine), engine.connect):
        joined = make()
        unit_of_work.join(joined, lambda tx: tx.interrupt(new_ids(1)))
        joined.rollback()
        joined.close()
    tasks.herald().flush()

    assert [] == said()


def test_a_listener_tells_them_apart(engine: Engine, tasks: TaskQueueContainer) -> None:
    """Queues, cancels, schedules; what is nonsense is none of them, and ends nothing."""
    heard: list[Any] = []
    lock = threading.Lock()

    def hear(kind: str) -> Callable[..., None]:
        def note(*said: Any) -> None:
            with lock:
                heard.append((kind, *said))

        return note

    listener = PostgresNotifications(engine)
    listener.start(hear("wake"), hear("cancel"), hear("schedules"))
    try:
        eventually(lambda: listener.hears, what="it listens")
        del heard[:]
        ids = sorted(new_ids(2))
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_notify('worker_tasks', E'\\x01cancel nonsense')")
        tasks.herald().tell(Hints(["mail"], cancelled=ids, rescheduled=True))
        eventually(lambda: ("wake", "mail") in heard, what="it has heard all")
    finally:
        listener.stop()

    assert [("cancel", []), ("cancel", ids), ("schedules",), ("wake", "mail")] == heard


@pytest.mark.parametrize(
    ("payload", "expected"), [("mail", None), ("", None), ("\x01cancel ", []), ("\x01cancel x,", [])]
)
def test_what_is_no_cancel_cancels_nothing(payload: str, expected: list[UUID] | None) -> None:
    """Names hold no control characters, so no queue is mistaken for one."""
    assert expected == cancelled_in(payload)


def test_a_beat_is_one_statement_that_reads_only_what_is_cancelled(connection: Connection) -> None:
    """Though a million tasks run: there is an index of those few."""
    compiled = BEAT.compile(connection, compile_kwargs={"literal_binds": False})
    parameters = {**compiled.params, "worker_id": "w1", "now": None, "hears": True}
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {compiled}", parameters))

    assert "tasks_cancelling" in plan
