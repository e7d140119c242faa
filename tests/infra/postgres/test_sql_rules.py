"""Plain SQL stores what Python stores, and refuses what Python refuses, in the same words."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app import InvalidInput, JobCatalog, TaskQueueContainer
from tests.contract.cases_of_enqueue import BAD, GOOD, Case

ONE = [(case, way) for case in GOOD for way in case.ways]
NONE = [(case, way) for case in BAD for way in case.ways]
# What Python finds as a value, SQL finds in a text, where it names the payload and not the place in it.
OTHER_WORDS = "must hold finite numbers, and no whole one of more than 4300 digits"
_WHOLE = ("priority", "max_attempts", "version")
_KINDS = {"payload": "json", "delay": "interval", "scheduled_at": "timestamptz", "tags": "text[]"}


def _id(value: object) -> str:
    return value.name if isinstance(value, Case) else str(value)


def typed(connection: Connection, asked: dict[str, Any]) -> Any:
    """``enqueue`` with parameters of SQL's types."""
    given = {"type": "a:b"} | asked
    for name, value in asked.items():
        if name in _WHOLE and isinstance(value, float):
            given[name] = Decimal(repr(value))  # what 1.5 is in SQL
        elif name == "delay":
            given[name] = timedelta(seconds=value)
        elif name == "tags":
            given[name] = list(value)
    said = ", ".join(f"{name} => %({name})s{'::' + kind if (kind := _KINDS.get(name)) else ''}" for name in given)
    return connection.exec_driver_sql(f"SELECT worker.enqueue({said})", given).scalar_one()


def as_json(connection: Connection, asked: dict[str, Any]) -> Any:
    """``enqueue_many`` with one object."""
    given = {"type": "a:b"} | asked
    payload = given.pop("payload", None)
    moments = {name: value.isoformat() for name, value in given.items() if isinstance(value, datetime)}
    element = json.dumps(given | moments, allow_nan=False)
    if payload is not None:
        element = f'{element[:-1]}, "payload": {payload}}}'
    return connection.exec_driver_sql("SELECT worker.enqueue_many(%s::json)", (f"[{element}]",)).scalar_one()


WAYS: dict[str, Callable[[Connection, dict[str, Any]], Any]] = {"typed": typed, "json": as_json}


@pytest.fixture(scope="module")
def tasks() -> Iterator[TaskQueueContainer]:
    """A queue that joins the connections of these tests."""
    tasks = TaskQueueContainer(jobs=JobCatalog())
    yield tasks
    tasks.close()


@contextmanager
def refusal(connection: Connection) -> Iterator[dict[str, Any]]:
    """What PostgreSQL said no with; the transaction goes on."""
    told: dict[str, Any] = {}
    with pytest.raises(DBAPIError) as refused, connection.begin_nested():
        yield told
    assert isinstance(refused.value.orig, psycopg.Error)
    diagnosis = refused.value.orig.diag
    told.update(state=diagnosis.sqlstate, message=diagnosis.message_primary or "", field=diagnosis.column_name)


def stored(connection: Connection, id_: Any, asked: dict[str, Any]) -> str:
    """Every column but the id and the moment; a moment that nobody asked for as its distance from that."""
    row = dict(connection.exec_driver_sql("SELECT * FROM worker.tasks WHERE id = %s", (id_,)).mappings().one())
    del row["id"]
    created_at = row.pop("created_at")
    if asked.get("scheduled_at") is None:
        row["scheduled_at"] -= created_at
    return repr(row)


@pytest.mark.parametrize(("case", "way"), ONE, ids=_id)
def test_sql_stores_what_python_stores(connection: Connection, tasks: TaskQueueContainer, case: Case, way: str) -> None:
    """
    Column by column, down to the sign of a zero.
    """
    ours = tasks.enqueue_task().execute_in(connection, **case.in_python)
    theirs = WAYS[way](connection, case.asked)

    assert stored(connection, ours.id, case.asked) == stored(connection, theirs, case.asked)
    assert (7, "specified in RFC 4122") == (theirs.version, theirs.variant)


@pytest.mark.parametrize(("case", "way"), NONE, ids=_id)
def test_sql_refuses_what_python_refuses(
    connection: Connection, tasks: TaskQueueContainer, case: Case, way: str
) -> None:
    """
    Field and rule are the same; of an object in an array the field says which. Nothing is stored.
    """
    with pytest.raises(InvalidInput) as ours:
        tasks.enqueue_task().execute_in(connection, **case.in_python)
    with refusal(connection) as theirs:
        WAYS[way](connection, case.asked)

    place = "" if way == "typed" else "tasks[0]."
    field = "payload" if ours.value.field.startswith("payload") else ours.value.field
    assert ("22023", place + field) == (theirs["state"], theirs["field"])
    assert theirs["message"].startswith(f"{place}{field}: ")
    rule = theirs["message"].removeprefix(f"{place}{field}: ").partition(" (given: ")[0]
    assert rule in (ours.value.rule, OTHER_WORDS) or way == "json"
    assert 0 == connection.exec_driver_sql("SELECT count(*) FROM worker.tasks").scalar()


BAD_LISTS = {
    "an object": ('{"type": "a"}', "tasks"),
    "null": ("null", "tasks"),
    "text": ('"a"', "tasks"),
    "a number in it": ('[{"type": "a"}, 7]', "tasks[1]"),
    "a list in it": ("[[]]", "tasks[0]"),
    "nothing in it": ("[null]", "tasks[0]"),
    "no type": ('[{"type": "a"}, {"queue": "b"}]', "tasks[1].type"),
    "a name that is not known": ('[{"type": "a", "max_attempt": 3}]', "tasks[0]"),
    "a name that cannot be": (r'[{"type": "a", "\u0000": 3}]', "tasks[0]"),
    "NUL and a letter in surrogates": (r'[{"type": "\ud83d\udc18", "payload": "\u0000"}]', "tasks[0].payload"),
    "NUL and a backslash": (r'[{"type": "\\", "payload": "\u0000"}]', "tasks[0].payload"),
    "NUL in the second type of two": (r'[{"type": "\u0000", "payload": "\\u0000"}]', "tasks[0].type"),
    "no such day": ('[{"type": "a", "scheduled_at": "2030-02-30T00:00:00Z"}]', "tasks[0].scheduled_at"),
    "no such hour": ('[{"type": "a", "scheduled_at": "2030-02-20T25:00:00Z"}]', "tasks[0].scheduled_at"),
    "no such zone": ('[{"type": "a", "scheduled_at": "2030-02-20T10:00:00+99:00"}]', "tasks[0].scheduled_at"),
    "a word for a moment": ('[{"type": "a", "scheduled_at": "tomorrow"}]', "tasks[0].scheduled_at"),
    "a moment in another order": ('[{"type": "a", "scheduled_at": "31.12.2030 10:00:00Z"}]', "tasks[0].scheduled_at"),
    "a timeout beyond doubles": ('[{"type": "a", "timeout": 1e999}]', "tasks[0].timeout"),
    "a timeout below doubles": ('[{"type": "a", "timeout": 1e-999}]', "tasks[0].timeout"),
    "a priority of a million digits": ('[{"type": "a", "priority": 1' + "0" * 1_000_000 + "}]", "tasks[0].priority"),
    "a priority with an exponent": ('[{"type": "a", "priority": 1e2}]', "tasks[0].priority"),
    "a number Python cannot read": ('[{"type": "a", "payload": [1' + "0" * 4_300 + "]}]", "tasks[0].payload"),
    "a fraction nobody would write": ('[{"type": "a", "payload": [0.' + "1" * 2_000 + "]}]", "tasks[0].payload"),
}


@pytest.mark.parametrize(("tasks", "field"), BAD_LISTS.values(), ids=BAD_LISTS.keys())
def test_a_list_is_refused_by_the_place_of_what_is_wrong(connection: Connection, tasks: str, field: str) -> None:
    """
    Never by an error of PostgreSQL's own, which would not say where.
    """
    with refusal(connection) as told:
        connection.exec_driver_sql("SELECT worker.enqueue_many(%s::json)", (tasks,))

    assert ("22023", field) == (told["state"], told["field"])
    assert len(told["message"]) < 600
    assert 0 == connection.exec_driver_sql("SELECT count(*) FROM worker.tasks").scalar()


@pytest.mark.parametrize("tasks", [None, "[]"])
def test_of_no_tasks_none_are_stored(connection: Connection, tasks: str | None) -> None:
    """
    An empty list is allowed, and so is what json_agg makes of no rows.
    """
    assert [] == connection.exec_driver_sql("SELECT worker.enqueue_many(%s::json)", (tasks,)).all()


def test_the_last_of_two_equal_names_counts(connection: Connection) -> None:
    """
    As everywhere with JSON in PostgreSQL and in Python.
    """
    connection.exec_driver_sql("""SELECT worker.enqueue_many('[{"type": "", "type": "a"}]')""")

    assert ["a"] == [*connection.exec_driver_sql("SELECT type FROM worker.tasks").scalars()]


def test_a_month_is_a_month_of_the_calendar(connection: Connection) -> None:
    """
    And is counted in UTC, whatever clock the session looks at.
    """
    connection.exec_driver_sql("SET LOCAL TimeZone = 'Europe/Berlin'")
    id_ = connection.exec_driver_sql("SELECT worker.enqueue('a', delay => '7 months')").scalar_one()

    ask = (
        "SELECT scheduled_at AT TIME ZONE 'UTC' = (created_at AT TIME ZONE 'UTC') + interval '7 months'"
        " FROM worker.tasks WHERE id = %s"
    )
    assert connection.exec_driver_sql(ask, (id_,)).scalar()


def test_what_is_without_end_is_refused(connection: Connection) -> None:
    """
    A moment in all versions of PostgreSQL, an interval in those that know one.
    """
    told = []
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    endless = ["scheduled_at => 'infinity'", "scheduled_at => '-infinity'", "delay => '178000000 years'"]
    for one in [*endless, *(["delay => 'infinity'", "delay => '-infinity'"] if version >= 170_000 else [])]:
        with refusal(connection) as refused:
            connection.exec_driver_sql(f"SELECT worker.enqueue('a', {one})")
        told.append(refused["field"])

    assert ["scheduled_at", "scheduled_at", "delay", "delay", "delay"][: len(told)] == told


def test_the_limits_of_the_schema_are_replaced_by_its_owner(connection: Connection) -> None:
    """
    As the settings are for Python: the size of a payload and the attempts.
    """
    for name, value in (("max_payload", 10), ("default_max_attempts", 7)):
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION worker.{name}() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT {value}'"
        )
    with refusal(connection) as told:
        connection.exec_driver_sql("SELECT worker.enqueue('a', '[\"12345678\"]')")
    connection.exec_driver_sql("SELECT worker.enqueue('a', '[\"123456\"]')")

    rule = 'payload: must be at most 10 bytes as JSON, not 12 (given: ["12345678"])'
    assert rule == told["message"]
    assert [7] == [*connection.exec_driver_sql("SELECT max_attempts FROM worker.tasks").scalars()]


def test_the_cases_are_many() -> None:
    """
    At least sixty, or somebody has thrown them out.
    """
    assert 60 <= len({case.name for case in [*GOOD, *BAD]}) == len([*GOOD, *BAD])
