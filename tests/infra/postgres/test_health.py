"""What check says of a database whose dead rows cannot go away, and what it reads to say it."""

import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import pq
from sqlalchemy import Engine, create_engine, text

from app.domain.health import HolderKind, Snapshot, Snapshots
from app.domain.jobs.catalog import JobCatalog
from app.infra.clock import SystemClock
from app.infra.postgres.health.snapshots import beginning_of
from app.infra.postgres.migrations import Migrations
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.usecases.check import CheckQueue, QueueReport
from tests.examples import ManualClock, Recorder
from tests.infra.postgres.callers import until
from tests.server import OwnServer

INSERT = """
INSERT INTO worker.tasks (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload, ready)
SELECT gen_random_uuid(), 'email:send', {queue}, 'pending', {priority}, 3, now() - n * interval '1 ms', now(), '{{}}',
       true
FROM generate_series(1, {count}) AS n
"""
MANY = 20


def checked(engine: Engine, *, later: float = 0) -> QueueReport:
    """What check says so many seconds from now."""
    clock = ManualClock(datetime.now(UTC) + timedelta(seconds=later))
    return PostgresUnitOfWork(engine, None, Recorder(), clock=clock).run(CheckQueue(JobCatalog(), SystemClock()))


def told(engine: Engine, *, later: float = 0) -> list[str]:
    """Its problems, less that no worker is alive."""
    return [problem for problem in checked(engine, later=later).problems if "No worker" not in problem]


def leave_dead_rows(engine: Engine, count: int = MANY) -> None:
    """Rows enough to call autovacuum, which is kept away."""
    settings = "autovacuum_enabled = off, autovacuum_vacuum_threshold = 10"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE worker.tasks SET ({settings})")
        connection.exec_driver_sql(INSERT.format(queue="'q'", priority=0, count=count))
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM worker.tasks")
    engine.dispose()  # a session that ends tells its statistics
    until(lambda: (checked(engine).dead_rows or _NONE).dead == count)


class _NONE:
    dead = 0


@contextmanager
def reading(url: str, query: str = "SELECT 1", **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A session that holds its snapshot."""
    with psycopg.connect(url, application_name="nightly report", **options) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(query.encode())
        yield connection


def test_the_session_that_holds_a_snapshot_is_named(engine: Engine, database_url: str) -> None:
    """
    Which one, since when, what it keeps and what to do; its query's values are nobody's business.
    """
    with reading(database_url, "SELECT 1 AS found WHERE 'the secret' <> ''") as holder:
        leave_dead_rows(engine)
        report, [problem] = checked(engine, later=120), told(engine, later=120)
        pid = holder.info.backend_pid

    oldest = report.snapshots.oldest
    assert oldest is not None
    assert (HolderKind.SESSION, "nightly report", pid) == (oldest.kind, oldest.name, oldest.pid)
    assert ("idle in transaction", "SELECT 1 AS found WHERE") == (oldest.state, oldest.query)
    assert 120 <= (oldest.seconds or 0) < 180
    assert 120 <= (oldest.query_seconds or 0) < 180
    assert problem.startswith(f"Session {pid} (application 'nightly report', user ")
    assert f"has kept a snapshot open for {oldest.seconds:.0f} s: {MANY} dead rows of tasks" in problem
    assert problem.endswith(f"SELECT pg_terminate_backend({pid}).")


def test_a_snapshot_that_is_young_or_harms_nothing_is_no_problem(engine: Engine, database_url: str) -> None:
    """
    It is told among the facts.
    """
    with reading(database_url):
        harmless = checked(engine, later=3600)
        leave_dead_rows(engine)
        young = checked(engine)

    assert [True, True] == [report.snapshots.oldest is not None for report in (harmless, young)]
    assert [("No",), ("No",)] == [tuple(one.split()[0] for one in report.problems) for report in (harmless, young)]


def test_of_equally_old_snapshots_the_cause_is_named(engine: Engine, database_url: str) -> None:
    """
    As old as a transaction that has written is every snapshot taken while it goes on.
    """
    with psycopg.connect(database_url, application_name="writer") as writer:
        writer.execute("CREATE TABLE anything ()")
        with reading(database_url):
            oldest = checked(engine).snapshots.oldest

    assert oldest is not None
    assert "writer" == oldest.name


def test_other_databases_and_our_own_session_do_not_count(
    engine: Engine, database_url: str, empty_database_url: str
) -> None:
    """
    Their snapshots see nothing of these tables.
    """
    with reading(empty_database_url):
        assert Snapshots() == checked(engine).snapshots


def test_dead_rows_that_nobody_removes_are_a_problem(engine: Engine) -> None:
    """
    Many times what calls autovacuum, and it never came; one sentence that says so.
    """
    leave_dead_rows(engine, 101)

    [problem] = told(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM worker.tasks")
    after = checked(engine).dead_rows

    assert problem.startswith("101 rows of tasks are dead (100%), autovacuum comes from 10 on and was here never")
    assert after is not None
    assert (0, True) == (after.dead, (after.vacuum_seconds or 99) < 60)


def test_a_role_that_sees_little_is_told_what_it_cannot_see(engine: Engine, database_url: str) -> None:
    """
    The session is named without its times; where even the view was taken away, that is said, and the rest is told.
    """
    role = f"role_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA worker TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA worker TO {role}")
    low = create_engine(engine.url, connect_args={"options": f"-c role={role}"})
    try:
        with reading(database_url) as holder:
            pid = holder.info.backend_pid
            named = checked(low).snapshots
            for name in ("pg_stat_activity", "pg_replication_slots", "pg_prepared_xacts"):
                with engine.begin() as connection:
                    connection.exec_driver_sql(f"REVOKE SELECT ON pg_catalog.{name} FROM PUBLIC")
            blind = checked(low)
    finally:
        low.dispose()
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")

    assert named.oldest is not None
    assert (pid, "nightly report", None, None, None) == (
        named.oldest.pid,
        named.oldest.name,
        named.oldest.seconds,
        named.oldest.state,
        named.oldest.query,
    )
    assert ["since"] == [what.split()[0] for what in named.unseen]
    assert (None, ["sessions", "replication slots", "prepared transactions", "since"]) == (
        blind.snapshots.oldest,
        [what if "since" not in what else "since" for what in blind.snapshots.unseen],
    )
    assert ("No worker is alive: start one with `python -m app worker`.",) == blind.problems


def test_prepared_transactions_replicas_and_their_slots_are_named(own_server: Callable[..., OwnServer]) -> None:
    """
    What outlives every session is the worst of all.
    """
    server = own_server(max_prepared_transactions="2", hot_standby="on")
    engine = create_engine(server.url.replace("postgresql://", "postgresql+psycopg://"))
    Migrations(engine, schema="worker").upgrade()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE anything ()")
        connection.execute("PREPARE TRANSACTION 'half done'")
    leave_dead_rows(engine)

    [prepared], facts = told(engine, later=120), checked(engine).snapshots.oldest
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ROLLBACK PREPARED 'half done'")
        connection.execute("SELECT pg_create_physical_replication_slot('left_behind', true)")
    with _replica(server.url, "START_REPLICATION PHYSICAL 0/0") as pid:
        until(lambda: _kind_of(engine) is HolderKind.REPLICA)
        replica = checked(engine).snapshots.oldest
    until(lambda: checked(engine).snapshots.oldest is None)
    with _replica(server.url, "START_REPLICATION SLOT left_behind PHYSICAL 0/0"):
        until(lambda: _kind_of(engine) is HolderKind.SLOT)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(1000):
            connection.exec_driver_sql("SELECT pg_current_xact_id()")
    [slot] = told(engine)
    engine.dispose()

    assert facts is not None
    assert (HolderKind.PREPARED, "half done") == (facts.kind, facts.name)
    assert "Prepared transaction 'half done' (user " in prepared
    assert prepared.endswith("ROLLBACK PREPARED 'half done'.")
    assert replica is not None
    assert (pid, "standby") == (replica.pid, replica.name)
    assert "Replication slot 'left_behind' (inactive) has kept a snapshot open for 1," in slot
    assert "pg_drop_replication_slot('left_behind')" in slot


def _kind_of(engine: Engine) -> HolderKind | None:
    oldest: Snapshot | None = checked(engine).snapshots.oldest
    return None if oldest is None else oldest.kind


@contextmanager
def _replica(url: str, start: str) -> Iterator[int]:
    """A standby as far as its hot_standby_feedback goes: it says which snapshot it has."""
    with psycopg.connect(url) as connection:
        [[position, xmin]] = connection.execute(
            "SELECT pg_current_wal_lsn()::text, pg_snapshot_xmin(pg_current_snapshot())::text::int8"
        ).fetchall()
    line = pq.PGconn.connect(f"{url}{'&' if '?' in url else '?'}replication=true&application_name=standby".encode())
    try:
        started = line.exec_(start.replace("0/0", position).encode())
        assert pq.ExecStatus.COPY_BOTH == started.status, line.error_message
        line.put_copy_data(b"h" + struct.pack("!qIIII", 0, xmin, 0, 0, 0))
        line.flush()
        yield line.backend_pid
    finally:
        line.finish()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, None),
        ("", None),
        ("<insufficient privilege>", None),
        ("ALTER ROLE ada  PASSWORD\n'hunter2'", "ALTER ROLE ada PASSWORD"),
        ("SELECT $$hunter2$$", "SELECT"),
        ("SELECT $a$hunter2$a$", "SELECT"),
        ("SELECT E'\\'hunter2'", "SELECT E"),
        ("S" * 80, "S" * 80),
        ("S" * 81, "S" * 80 + "…"),
    ],
)
def test_of_a_query_only_the_beginning_is_shown(query: str | None, expected: str | None) -> None:
    """
    Up to its first quoted value, and not more than it takes to know it again.
    """
    assert expected == beginning_of(query)


def test_what_waits_is_told_without_reading_it_all(engine: Engine) -> None:
    """
    Of 60,000 ready tasks a row for each queue and priority, and for their types no more than ten thousand.
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(INSERT.format(queue="'q' || mod(n, 3)", priority="mod(n, 4)", count=60_000))
        connection.exec_driver_sql("ANALYZE worker.tasks")
    uow = PostgresUnitOfWork(engine, None, Recorder())
    with engine.connect() as connection:
        queues = uow.join(connection, lambda tx: tx.health.waiting_queues())
        for_queues = _read(connection)
        [type] = uow.join(connection, lambda tx: tx.health.waiting_types())
        for_types = _read(connection) - for_queues

    assert ["q0", "q1", "q2"] == sorted(waiting.queue for waiting in queues)
    assert for_queues < 100
    assert for_types < 10_100
    assert ("email:send", 10_000, True) == (type.type, type.count, type.at_least)


def _read(connection: Any) -> int:
    """Rows of tasks that this transaction has read so far, in whichever way."""
    [[read]] = connection.execute(
        text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_all_tables WHERE relname = 'tasks'")
    )
    return int(read)
