"""Enqueueing in plain SQL: from psql, from a trigger, in whoever's transaction, one or ten thousand."""

import json
from collections.abc import Iterator
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy import Engine

from app import JobCatalog, TaskQueueContainer
from app.infra.postgres.migrations import Migrations

SHIP = """
    CREATE TABLE orders (id integer, weight double precision);
    CREATE FUNCTION ship() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM worker.enqueue(
            'order:ship', json_build_object('order', NEW.id), correlation_id => 'order-' || NEW.id, priority => NEW.id
        );
        RETURN NEW;
    END $$;
    CREATE TRIGGER ship AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION ship();
"""
WEIGH = """
    CREATE TABLE orders (id integer, weight double precision);
    CREATE FUNCTION weigh() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM worker.enqueue_many(
            (SELECT json_agg(json_build_object('type', 'order:weigh', 'payload', row_to_json(rows))) FROM rows)
        );
        RETURN NULL;
    END $$;
    CREATE TRIGGER weigh AFTER INSERT ON orders REFERENCING NEW TABLE AS rows
    FOR EACH STATEMENT EXECUTE FUNCTION weigh();
"""


@pytest.fixture
def sql(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that commits each statement."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def count(sql: psycopg.Connection) -> int:
    [[number]] = sql.execute("SELECT count(*) FROM worker.tasks")
    return int(number)


def test_a_trigger_enqueues_for_each_row(sql: psycopg.Connection, engine: Engine) -> None:
    """
    In the transaction of the rows: those that are rolled back leave no task.
    """
    sql.execute(SHIP)
    sql.execute("INSERT INTO orders VALUES (1), (2)")
    with sql.transaction(force_rollback=True):
        sql.execute("INSERT INTO orders VALUES (3)")

    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    found = tasks.list_tasks().execute()

    assert {(1, "order-1"), (2, "order-2")} == {(task.payload["order"], task.correlation_id) for task in found}
    assert {1, 2} == {task.priority for task in found}
    tasks.close()


def test_a_trigger_enqueues_for_a_whole_statement(sql: psycopg.Connection) -> None:
    """
    With one call, also of a statement that inserts nothing.
    """
    sql.execute(WEIGH)
    sql.execute("INSERT INTO orders SELECT number, 0.1 FROM generate_series(1, 1000) AS number")
    sql.execute("INSERT INTO orders SELECT 1 WHERE false")

    found = sql.execute("SELECT payload FROM worker.tasks ORDER BY id").fetchall()

    assert [{"id": number, "weight": 0.1} for number in range(1, 1001)] == [payload for (payload,) in found]


def test_a_trigger_that_enqueues_nonsense_undoes_its_statement(sql: psycopg.Connection) -> None:
    """
    As everything that a trigger refuses.
    """
    sql.execute(SHIP.replace("'order:ship'", "'order:*'"))

    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^type: must not contain \*"):
        sql.execute("INSERT INTO orders VALUES (1)")

    assert (0, 0) == (count(sql), len(sql.execute("SELECT FROM orders").fetchall()))


def test_parameters_may_be_text_without_types(sql: psycopg.Connection) -> None:
    """
    As psql and most drivers send them: PostgreSQL reads each as what the function takes.
    """
    ask = (
        b"SELECT worker.enqueue($1, $2, priority => $3, delay => $4, timeout => $5, tags => $6, version => $7,"
        b" max_attempts => $8, queue => $9, correlation_id => $10)"
    )
    given = [b"a:b", b'{"a": [1e22]}', b"-7", b"1 hour 30 min", b"2.5", b'{x,"y z"}', b"3", b"9", b"mail", b"c"]

    answer = sql.pgconn.exec_params(ask, given)

    assert answer.status == psycopg.pq.ExecStatus.TUPLES_OK, answer.error_message
    [row] = sql.execute(
        "SELECT type, payload::text, priority, extract(epoch FROM scheduled_at - created_at)::int, timeout, tags,"
        " version, max_attempts, queue, correlation_id, ready FROM worker.tasks"
    ).fetchall()
    assert ("a:b", '{"a": [1e22]}', -7, 5400, 2.5, ["x", "y z"], 3, 9, "mail", "c", False) == row


def test_what_is_enqueued_is_rolled_back_with_its_transaction(sql: psycopg.Connection, database_url: str) -> None:
    """
    Nobody else sees it before the commit, or ever.
    """
    with sql.transaction(force_rollback=True):
        sql.execute("SELECT worker.enqueue('a'), worker.enqueue('b')")
        assert 2 == count(sql)
        with psycopg.connect(database_url) as other:
            assert 0 == count(other)

    assert 0 == count(sql)


def test_many_are_stored_by_one_insert_in_the_order_given(sql: psycopg.Connection) -> None:
    """
    Ten thousand in one call: their ids rise as their places do.
    """
    sql.execute(
        """
        CREATE TABLE inserts (number integer);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.inserts SELECT count(*) FROM rows; RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT ON worker.tasks REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION note();
        """
    )
    given = json.dumps([{"type": "a", "payload": number, "queue": f"q{number % 3}"} for number in range(10_000)])

    ids = [id_ for (id_,) in sql.execute("SELECT worker.enqueue_many(%s)", (given,))]

    assert [(10_000,)] == sql.execute("SELECT number FROM inserts").fetchall()
    assert all(one < other for one, other in pairwise(ids))
    found: dict[object, int] = dict(sql.execute("SELECT id, payload FROM worker.tasks").fetchall())
    assert list(range(10_000)) == [found[id_] for id_ in ids]


def test_many_with_a_wrong_one_at_the_end_store_nothing(sql: psycopg.Connection) -> None:
    """
    All or none, and the error says which it was.
    """
    given = json.dumps([{"type": "a"}] * 9_999 + [{"type": "a", "priority": 2**31}])

    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^tasks\[9999\]\.priority: must lie between"):
        sql.execute("SELECT worker.enqueue_many(%s)", (given,))

    assert 0 == count(sql)


def test_ids_rise_from_call_to_call(sql: psycopg.Connection) -> None:
    """
    By the clock, to the microsecond; and their milliseconds are those of now.
    """
    ask = "SELECT array_agg(worker.enqueue('a') ORDER BY number) FROM generate_series(1, 500) AS number"
    [[ids]] = sql.execute(ask)
    [[now]] = sql.execute("SELECT extract(epoch FROM clock_timestamp()) * 1000")

    assert 500 == len({*ids})
    assert sorted(ids) == ids
    assert 0 <= now - (ids[-1].int >> 80) < 60_000


def test_workers_are_told_once_for_each_queue(sql: psycopg.Connection, database_url: str) -> None:
    """
    At the commit, on the channel of the schema, with the queue as what is said.
    """
    given = json.dumps([{"type": "a", "queue": queue} for queue in ("b", "a", "b")])
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN worker_tasks")
        with sql.transaction():
            sql.execute("SELECT worker.enqueue_many(%s)", (given,))
        sql.execute("SELECT worker.enqueue('a', queue => 'c')")
        heard = [(told.channel, told.payload) for told in listener.notifies(timeout=20, stop_after=3)]

    assert [("worker_tasks", "a"), ("worker_tasks", "b"), ("worker_tasks", "c")] == [*sorted(heard[:2]), heard[2]]


async def test_a_worker_runs_what_sql_enqueued(sql: psycopg.Connection, engine: Engine) -> None:
    """
    As any other task, with the payload as it was given.
    """
    jobs = JobCatalog()
    seen: list[object] = []
    jobs.define("order:ship")(lambda payload, context: seen.append(payload))
    sql.execute("""SELECT worker.enqueue('order:ship', '{ "order" : [1e22, -0.0, "\\u00fc"] }')""")
    sql.execute("""SELECT worker.enqueue('order:ship', NULL)""")

    tasks = TaskQueueContainer(engine=engine, jobs=jobs)
    attempts = await tasks.worker().drain()
    await tasks.aclose()

    assert (2, repr([{"order": [1e22, -0.0, "ü"]}, None])) == (attempts, repr(seen))


def test_the_settings_of_a_session_change_nothing(sql: psycopg.Connection) -> None:
    """
    Neither how it reads backslashes nor how it writes dates and numbers.
    """
    ask = """SELECT worker.enqueue_many(
        '[{"type": "a", "payload": {"a":[1e-5,0.1]}, "timeout": 0.30000000000000004, "delay": 0.1, "tags": ["x"]}]')"""
    nul = "SELECT worker.enqueue('a', json_build_object('a', chr(92) || 'u0000', 'b', 1e5)::json)"
    columns = "payload::text, timeout * 1e17, extract(epoch FROM scheduled_at - created_at) * 1000, tags::text"

    def rows() -> object:
        for one in (ask, nul, "SELECT worker.enqueue('a', timeout => '0.30000000000000004', delay => '100 ms')"):
            sql.execute(one)
        with psycopg.connect(sql.info.dsn) as other:
            return sorted(map(str, other.execute(f"DELETE FROM worker.tasks RETURNING {columns}").fetchall()))

    before = rows()
    settings = {
        "DateStyle": "German, DMY", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kathmandu",
        "extra_float_digits": "-15", "standard_conforming_strings": "off", "escape_string_warning": "off",
        "bytea_output": "escape", "array_nulls": "off", "transform_null_equals": "on", "quote_all_identifiers": "on",
        "search_path": "",
    }  # fmt: skip
    for name, value in settings.items():
        sql.execute("SELECT set_config(%s, %s, false)", (name, value))
    sql.execute("DISCARD PLANS")
    after = rows()

    assert before == after
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^payload: must not contain NUL"):
        sql.execute("SELECT worker.enqueue('a', ('\"' || chr(92) || 'u0000\"')::json)")


def test_a_queue_in_another_schema_has_functions_of_its_own(engine: Engine, sql: psycopg.Connection) -> None:
    """
    Which know their tables, their columns and their channel, however the schema is called.
    """
    Migrations(engine, "select").upgrade()
    sql.execute("LISTEN select_tasks")

    [[id_]] = sql.execute("""SELECT "select".enqueue('a', queue => 'b')""")
    told = [sql.execute(f"""SELECT "select".{verb}(%s)""", (id_,)).fetchone() for verb in ("cancel", "retry")]
    sql.execute("""SELECT "select".enqueue_many('[{"type": "c"}]')""")
    heard = [one.payload for one in sql.notifies(timeout=20, stop_after=3)]

    assert ["cancelled", "pending"] == [row[0]["status"] for row in told if row]
    assert ["b", "b", "default"] == heard
    assert [("a",), ("c",)] == sql.execute('SELECT type FROM "select".tasks ORDER BY id').fetchall()
    assert 0 == count(sql)
