"""Roles that use the queue through its functions: what they may, and what they may not however they try."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url

from app import InvalidInput
from app.infra.memory.migrations import MemoryMigrations
from app.infra.postgres.migrations import Migrations
from app.infra.postgres.tables import metadata

PASSWORD = "made up"
TABLES = [str(table) for table in metadata.sorted_tables]
LogIn = Callable[[str], psycopg.Connection]


@pytest.fixture
def log_in(engine: Engine, database_url: str) -> Iterator[LogIn]:
    """Makes a role named after what it is and the database, with a schema of its own, and logs in as that role."""
    url = make_url(database_url)
    with psycopg.connect(database_url, autocommit=True) as owner, ExitStack() as stack:

        def make(kind: str) -> psycopg.Connection:
            name = f"{kind}_{url.database}"
            role = sql.Identifier(name)
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, PASSWORD))
            stack.callback(owner.execute, sql.SQL("DROP ROLE {}").format(role))
            stack.callback(owner.execute, sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            owner.execute(sql.SQL("CREATE SCHEMA {0} AUTHORIZATION {0}").format(role))
            migrations = Migrations(engine)
            if kind == "producer":
                migrations.allow_producer(name)
            elif kind == "operator":
                migrations.allow_operator(name)
            own = url.set(username=name, password=PASSWORD).render_as_string(hide_password=False)
            return stack.enter_context(psycopg.connect(own.replace(" ", "%20"), autocommit=True))

        yield make


def refused(connection: psycopg.Connection, statements: list[str]) -> dict[str, str]:
    """What was answered to those that were not forbidden."""
    told = {}
    for statement in statements:
        try:
            connection.execute(statement)
            told[statement] = "done"
        except psycopg.errors.InsufficientPrivilege:
            pass
        except psycopg.Error as error:
            told[statement] = repr(error)
    return told


def functions(engine: Engine) -> dict[str, str]:
    """A call of every function in our schema, with nothing for every parameter."""
    ask = """
        SELECT proname, format('SELECT worker.%%I(%%s)', proname, (
            SELECT string_agg(format('NULL::%%s', format_type(kind, NULL)), ', ' ORDER BY number)
            FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS given (kind, number)
        )) FROM pg_proc WHERE pronamespace = 'worker'::regnamespace
    """
    with engine.connect() as connection:
        return {name: str(call) for name, call in connection.exec_driver_sql(ask)}


def test_a_producer_enqueues(log_in: LogIn, engine: Engine) -> None:
    """
    One, many, and by a trigger on a table of its own.
    """
    producer = log_in("producer")
    producer.execute("SELECT worker.enqueue('a')")
    producer.execute('SELECT worker.enqueue_many(\'[{"type": "b"}, {"type": "b"}]\')')
    producer.execute(
        """
        CREATE TABLE orders (id integer);
        CREATE FUNCTION ship() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM worker.enqueue('c', json_build_object('order', NEW.id)); RETURN NEW; END $$;
        CREATE TRIGGER ship AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION ship();
        INSERT INTO orders VALUES (7);
        """
    )

    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT type, payload FROM worker.tasks ORDER BY type").all()
    assert [("a", {}), ("b", {}), ("b", {}), ("c", {"order": 7})] == found


def test_a_producer_can_do_nothing_else(log_in: LogIn, engine: Engine) -> None:
    """
    Neither with any table, nor with any other function, nor with the schema.
    """
    producer = log_in("producer")
    [[id_]] = producer.execute("SELECT worker.enqueue('a')")
    may = {"enqueue", "enqueue_many"}

    allowed = refused(
        producer,
        [
            *(f"SELECT * FROM {table}" for table in [*TABLES, "worker.schema_version", "worker.finished_rest"]),
            *(f"SELECT count(*) FROM {table}" for table in TABLES),
            *(f"INSERT INTO {table} SELECT" for table in TABLES),
            *(f"DELETE FROM {table}" for table in TABLES),
            *(f"TRUNCATE {table}" for table in TABLES),
            *(f"DROP TABLE {table}" for table in TABLES),
            *(f"ALTER TABLE {table} OWNER TO CURRENT_USER" for table in TABLES),
            *(f"DO $$ BEGIN LOCK TABLE {table} IN ACCESS SHARE MODE; END $$" for table in TABLES),
            "UPDATE worker.tasks SET priority = 1",
            "SELECT FROM worker.tasks FOR UPDATE",
            "COPY worker.tasks TO STDOUT",
            "CREATE TRIGGER t AFTER INSERT ON worker.tasks EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "CREATE TABLE worker.mine ()",
            "CREATE FUNCTION worker.enqueue(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE FUNCTION worker.max_payload() RETURNS integer LANGUAGE sql AS 'SELECT 1000000000'",
            "ALTER FUNCTION worker.enqueue SECURITY INVOKER",
            "ALTER FUNCTION worker.enqueue RESET search_path",
            "DROP FUNCTION worker.enqueue",
            "GRANT EXECUTE ON FUNCTION worker.cancel TO CURRENT_USER",
            "DROP SCHEMA worker CASCADE",
            f"SELECT worker.cancel('{id_}')",
            f"SELECT worker.retry('{id_}', true)",
            *(call for name, call in functions(engine).items() if name not in may),
        ],
    )

    assert {} == allowed
    assert may == {name for name in functions(engine) if may_execute(producer, name)}


def may_execute(connection: psycopg.Connection, function: str) -> bool:
    ask = "SELECT has_function_privilege(oid, 'EXECUTE') FROM pg_proc WHERE pronamespace = 'worker'::regnamespace"
    [[may]] = connection.execute(f"{ask} AND proname = %s", (function,))
    return bool(may)


def test_an_operator_cancels_and_retries_and_nothing_else(log_in: LogIn, engine: Engine) -> None:
    """
    What it is told of a task says nothing of its payload.
    """
    with engine.begin() as connection:
        id_ = connection.exec_driver_sql("SELECT worker.enqueue('a', '\"secret\"')").scalar_one()
    operator = log_in("operator")

    told = [operator.execute(f"SELECT worker.{verb}(%s)", (id_,)).fetchone() for verb in ("cancel", "retry")]

    assert ["cancelled", "pending"] == [row[0]["status"] for row in told if row]
    assert "secret" not in str(told)
    assert {"cancel", "retry"} == {name for name in functions(engine) if may_execute(operator, name)}
    assert {} == refused(operator, [f"SELECT * FROM {table}" for table in TABLES] + ["SELECT worker.enqueue('a')"])


def test_who_was_granted_nothing_can_do_nothing(log_in: LogIn, engine: Engine) -> None:
    """
    Not even see what there is: functions are not everybody's here.
    """
    stranger = log_in("stranger")

    assert {} == refused(stranger, ["SELECT worker.enqueue('a')", *functions(engine).values()])
    with engine.begin() as connection:
        connection.exec_driver_sql(f'GRANT USAGE ON SCHEMA worker TO "{stranger.info.user}"')
    assert {} == refused(stranger, ["SELECT worker.enqueue('a')", *functions(engine).values()])


DISGUISES = """
    CREATE TABLE caught (who text, what text);
    CREATE FUNCTION length(text) RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, 'length'); RETURN 1; END $$;
    CREATE FUNCTION strpos(text, text) RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, 'strpos'); RETURN 0; END $$;
    CREATE FUNCTION octet_length(text) RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, 'octet_length'); RETURN 0; END $$;
    CREATE FUNCTION statement_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, 'statement_timestamp'); RETURN 'epoch'; END $$;
    CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, 'pg_notify'); END $$;
    CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, '||'); RETURN 'x'; END $$;
    CREATE OPERATOR || (LEFTARG = text, RIGHTARG = text, FUNCTION = joined);
    CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO "{me}".caught VALUES (current_user, '='); RETURN true; END $$;
    CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = equal);
    CREATE TABLE tasks (LIKE caught);
    CREATE TEMPORARY TABLE tasks (LIKE caught);
    CREATE TEMPORARY TABLE unnest (LIKE caught);
    CREATE DOMAIN uuid AS integer;
    CREATE DOMAIN integer AS text;
    SET search_path = "{me}", pg_temp, pg_catalog;
"""


def test_a_producer_cannot_lend_our_functions_its_own(log_in: LogIn, engine: Engine) -> None:
    """
    Functions, operators, tables and types of the names that ours use, first in the search_path: none is touched.
    """
    producer = log_in("producer")
    producer.execute(DISGUISES.format(me=producer.info.user))
    producer.execute("SELECT length('ours would see this'), 'a'::text || 'b'::text")
    trap = [("length",), ("||",)]

    producer.execute("SELECT worker.enqueue('a', '{\"a\": \"b\"}', tags => '{x,y}', delay => '1 s')")
    producer.execute('SELECT worker.enqueue_many(\'[{"type": "a", "delay": 1, "tags": ["x"]}]\')')
    told = refused(producer, ["SELECT worker.enqueue('a', queue => '*')"])

    caught = producer.execute("SELECT what FROM caught WHERE who OPERATOR(pg_catalog.<>) current_user").fetchall()
    assert [] == caught
    assert sorted(trap) == sorted(producer.execute("SELECT what FROM caught").fetchall())
    assert ["must not contain *" in one for one in told.values()] == [True]
    with engine.connect() as connection:
        assert (
            2
            == connection.exec_driver_sql("SELECT count(*) FROM worker.tasks WHERE created_at > '2026-01-01'").scalar()
        )


def test_every_function_that_lends_its_rights_pins_its_search_path(engine: Engine) -> None:
    """
    Those four, and no other has the rights of its owner.
    """
    ask = "SELECT proname, proconfig[1] FROM pg_proc WHERE pronamespace = 'worker'::regnamespace AND prosecdef"
    with engine.connect() as connection:
        found = {(name, setting) for name, setting in connection.exec_driver_sql(ask)}

    pinned = "search_path=pg_catalog, pg_temp"
    assert {(name, pinned) for name in ("enqueue", "enqueue_many", "cancel", "retry")} == found


@pytest.mark.parametrize("role", ["nobody", "PUBLIC", 'x" TO public; --', "%s", ""])
def test_a_role_that_is_not_there_is_refused_by_its_name(engine: Engine, role: str) -> None:
    """
    By the name of the option too; in memory there is none at all.
    """
    for migrations in (Migrations(engine), MemoryMigrations()):
        for field in ("producer", "operator"):
            with pytest.raises(InvalidInput) as told:
                getattr(migrations, f"allow_{field}")(role)
            assert (field, role) == (told.value.field, told.value.value)


def test_granting_twice_changes_nothing(engine: Engine, log_in: LogIn) -> None:
    """
    A deployment may say it each time.
    """
    producer = log_in("producer")

    Migrations(engine).allow_producer(producer.info.user)

    assert may_execute(producer, "enqueue")
