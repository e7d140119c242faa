"""Cancel and retry in plain SQL: what they leave behind is what Python's verbs leave behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from app import IllegalTransition, JobCatalog, TaskNotFound, TaskQueueContainer
from app.domain.tasks.status import FINAL, TaskStatus
from app.infra.postgres.tables import Shelf, finished, tasks
from tests.examples import NOON, new_id
from tests.infra.postgres.callers import until

# A value for every column, so that one which is forgotten shows: of tables that get another one too.
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # it has no types
_BY_TYPE: dict[str, object] = {
    "UUID": new_id(), "TEXT": "text", "TEXT[]": ["text"], "BOOLEAN": True, "SMALLINT": 4, "INTEGER": 5, "BIGINT": 6,
    "DOUBLE PRECISION": 8.5, "TIMESTAMP WITH TIME ZONE": NOON, "DATE": NOON.date(), "BYTEA": b"bytes",
    "JSON": '["a"]',
    # As errors are stored, which are what there is of it.
    "JSONB": '[{"attempt": 1, "at": "2026-03-01T12:00:00+00:00", "type": "E", "message": "no", "traceback": ""}]',
}  # fmt: skip


@pytest.fixture(scope="module")
def queue() -> Iterator[TaskQueueContainer]:
    """A queue that joins the connections of these tests."""
    queue = TaskQueueContainer(jobs=JobCatalog())
    yield queue
    queue.close()


def put(connection: Connection, status: str, **changes: Any) -> UUID:
    """A task in *status* with something in every column."""
    table: Table = finished if TaskStatus(status) in FINAL else tasks
    columns = [each for each in table.c if not each.system]
    row: dict[str, Any] = {each.name: _BY_TYPE[each.type.compile(_DIALECT)] for each in columns}
    row |= {"id": new_id(), "status": status}
    row |= {"shelf": Shelf.DEAD, "reason": "exhausted"} if table is finished else {"cancel_requested_at": None}
    row |= changes
    names, values = ", ".join(f'"{name}"' for name in row), ", ".join(f"%({name})s" for name in row)
    connection.exec_driver_sql(f"INSERT INTO worker.{table.name} ({names}) VALUES ({values})", row)
    if table is finished:
        ask = "INSERT INTO worker.tallies SELECT (%s AT TIME ZONE 'UTC')::date, 'text', 'text', %s, NULL, 1, 2"
        connection.exec_driver_sql(ask, (row["finished_at"], status))
    return UUID(str(row["id"]))


def row_of(connection: Connection, id_: UUID, moment: str) -> tuple[str, dict[str, Any]]:
    """Where it is, and every column but its id; of *moment* whether it is that of now."""
    for table in ("tasks", "finished"):
        ask = f"SELECT * FROM worker.{table} WHERE id = %s"
        for row in connection.exec_driver_sql(ask, (id_,)).mappings():
            is_now = abs((datetime.now(UTC) - row[moment]).total_seconds()) < 60 if moment in row else None
            changed = {"id": None, moment: is_now}
            return table, {name: repr(changed.get(name, value)) for name, value in row.items()}
    raise AssertionError("it is nowhere")


def tallies(connection: Connection) -> list[Any]:
    ask = (
        "SELECT day, type, queue, status, bucket, sum(number) FROM worker.tallies GROUP BY 1, 2, 3, 4, 5, shelf"
        " HAVING sum(number) <> 0 ORDER BY 4, 1"
    )
    return [*connection.exec_driver_sql(ask)]


@pytest.mark.parametrize("status", ["blocked", "pending"])
def test_sql_cancels_as_python_does(connection: Connection, queue: TaskQueueContainer, status: str) -> None:
    """
    Every column of the row, and what is counted.
    """
    one, other = put(connection, status), put(connection, status)

    queue.cancel_task().execute_in(connection, one)
    told = connection.exec_driver_sql("SELECT worker.cancel(%s)", (other,)).scalar_one()

    ours, theirs = row_of(connection, one, "finished_at"), row_of(connection, other, "finished_at")
    assert ("finished", "'cancelled'", "True") == (theirs[0], theirs[1]["status"], theirs[1]["finished_at"])
    assert ours == theirs
    assert [("text", "text", "cancelled", None, 2)] == [tuple(row)[1:] for row in tallies(connection)]
    assert (str(other), "cancelled", 5) == (told["id"], told["status"], told["attempts"])


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("attempts", [0, 3, 5])
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_sql_retries_as_python_does(
    connection: Connection, queue: TaskQueueContainer, status: str, attempts: int, reset: bool
) -> None:
    """
    Every column of the row, and what is counted no longer.
    """
    one, other, _ = (put(connection, status, attempts=attempts, max_attempts=3) for _ in range(3))

    queue.retry_task().execute_in(connection, one, reset_attempts=reset)
    told = connection.exec_driver_sql("SELECT worker.retry(%s, %s)", (other, reset)).scalar_one()

    ours, theirs = row_of(connection, one, "scheduled_at"), row_of(connection, other, "scheduled_at")
    assert ("tasks", "'pending'", "True", "True") == (
        theirs[0], theirs[1]["status"], theirs[1]["ready"], theirs[1]["scheduled_at"],
    )  # fmt: skip
    assert ours == theirs
    assert [("text", "text", status, None, 1)] == [tuple(row)[1:] for row in tallies(connection)]
    assert ("pending", None, theirs[1]["max_attempts"]) == (
        told["status"], told["finished_at"], str(told["max_attempts"]),
    )  # fmt: skip


def test_cancelling_twice_changes_nothing(connection: Connection) -> None:
    """
    The second call answers with what the first one left.
    """
    id_ = put(connection, "pending")

    first, second = (connection.exec_driver_sql("SELECT worker.cancel(%s)", (id_,)).scalar_one() for _ in range(2))

    assert first == second
    assert [1] == [row[-1] for row in tallies(connection)]


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize("status", [*TaskStatus])
def test_sql_refuses_the_verbs_that_python_refuses(
    connection: Connection, queue: TaskQueueContainer, status: str, verb: str
) -> None:
    """
    In every state, in the same words, and nothing is changed.
    """
    one, other = put(connection, status), put(connection, status)
    before = row_of(connection, other, "created_at")
    try:
        getattr(queue, f"{verb}_task")().execute_in(connection, one)
        ours = "allowed"
    except IllegalTransition as refused:
        ours = str(refused).replace(str(one), "ID")

    theirs, state = "allowed", None
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SELECT worker.{verb}(%s)", (other,))
    except DBAPIError as refused:
        diagnosis = getattr(refused.orig, "diag")  # noqa: B009  # psycopg's
        theirs, state = diagnosis.message_primary.replace(str(other), "ID"), diagnosis.sqlstate

    assert (theirs == "allowed") or (before, "55000") == (row_of(connection, other, "created_at"), state)
    assert ours == theirs


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_a_task_that_does_not_exist_is_refused(connection: Connection, queue: TaskQueueContainer, verb: str) -> None:
    """
    By its id, in Python's words.
    """
    unknown = new_id()
    with pytest.raises(TaskNotFound) as ours:
        getattr(queue, f"{verb}_task")().execute_in(connection, unknown)

    with pytest.raises(DBAPIError) as theirs:
        connection.exec_driver_sql(f"SELECT worker.{verb}(%s)", (unknown,))

    assert isinstance(theirs.value.orig, psycopg.errors.NoDataFound)
    assert str(ours.value) == theirs.value.orig.diag.message_primary


@pytest.mark.parametrize(
    ("call", "field"), [("cancel(NULL)", "id"), ("retry(NULL)", "id"), ("retry(NULL, NULL)", "reset_attempts")]
)
def test_nothing_is_no_id(connection: Connection, call: str, field: str) -> None:
    """
    Bad input, as everywhere.
    """
    with pytest.raises(DBAPIError) as refused:
        connection.exec_driver_sql(f"SELECT worker.{call}")

    assert isinstance(refused.value.orig, psycopg.errors.InvalidParameterValue)
    assert field == refused.value.orig.diag.column_name


def test_a_retry_wakes_the_workers_of_its_queue(engine: Engine, database_url: str) -> None:
    """
    As Python's does.
    """
    with engine.begin() as connection:
        id_ = put(connection, "failed", queue="mail")
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN worker_tasks")
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT worker.retry(%s)", (id_,))
        heard = [told.payload for told in listener.notifies(timeout=20, stop_after=1)]

    assert ["mail"] == heard


def test_a_task_on_its_way_back_is_found(engine: Engine, database_url: str) -> None:
    """
    A cancel that waits for somebody's retry cancels what that one left.
    """
    with engine.begin() as connection:
        id_ = put(connection, "failed")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%worker.cancel%'"

    def cancel() -> Any:
        with psycopg.connect(database_url, autocommit=True) as other:
            return other.execute("SELECT worker.cancel(%s)", (id_,)).fetchone()

    with ThreadPoolExecutor(1) as thread, psycopg.connect(database_url, autocommit=True) as watcher:
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT worker.retry(%s)", (id_,))
            answer = thread.submit(cancel)
            until(lambda: watcher.execute(waiting).fetchone() == (1,))
        [told] = answer.result(30)

    assert "cancelled" == told["status"]
    with engine.connect() as connection:
        assert "finished" == row_of(connection, id_, "finished_at")[0]
