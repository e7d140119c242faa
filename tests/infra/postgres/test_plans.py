"""The plans of the hot statements: whatever lies around a batch, it costs what is in it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from pytest_postgresql.executors import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor
from sqlalchemy import Connection, Engine, NullPool, create_engine

from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Failed, RetryIn
from app.domain.tasks.repository import ClaimRequest, Position, Progress, Settlement
from app.infra.postgres.statements import Statements
from app.infra.postgres.statistics import PostgresStatistics
from app.infra.postgres.tasks import PostgresTasks
from tests.examples import EMAIL, REPORT, a_failure
from tests.infra.postgres.plans import Plan, plans_of
from tests.server import Server

MILLION = 1_000_000
BATCH = 100
EACH = 30
"""Pages that are looked at for a task of a batch, at most: its index entry, its row, its new version …"""
LANES = 100

_INSERT = """
    INSERT INTO worker.tasks
        (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload, ready)
    SELECT lpad(to_hex(nextval('numbers')), 32, '0')::uuid, {type}, {queue}, 'pending', {priority}, 3,
           timestamptz '2026-01-01' + n * interval '1 ms' + {wait}, '2026-01-01', '{{}}', {ready}
    FROM generate_series(1, {count}) n
"""
_FINISHED = """
    INSERT INTO worker.finished
        (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload, finished_at)
    SELECT lpad(to_hex(nextval('numbers')), 32, '0')::uuid,
           'email:send', 'default', 'completed', 0, 3, '2026-01-01', '2026-01-01', '{}',
           timestamptz '2026-01-01' + n * interval '1 ms'
    FROM generate_series(1, 1000000) n
"""
_FORGET = """
    DELETE FROM pg_statistic WHERE starelid IN ('worker.tasks'::regclass, 'worker.finished_rest'::regclass);
    UPDATE pg_class SET relpages = 0, reltuples = {rows}
    WHERE relnamespace = 'worker'::regnamespace AND relname ~ '^(tasks|finished)'
"""
STATISTICS = ["of other tasks", "none", "of an empty table", "fresh"]


@pytest.fixture(scope="module")
def full(server: Server, template: NoopExecutor) -> Iterator[Engine]:
    """A database with a million tasks of each kind that a claim should not notice; statistics are not kept up.

    They were last made when there were tasks of an unknown type alone.
    """
    name = f"plans_{uuid4().hex}"
    with DatabaseJanitor(
        user=server.user,
        host=server.host,
        port=server.port,
        password=server.password,
        maintenance_dbname=server.maintenance_dbname,
        dbname=name,
        template_dbname=template.template_dbname,
    ):
        engine = create_engine(server.url_of(name).replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TEMPORARY SEQUENCE numbers CACHE 1000")
            for table in ("tasks", "finished_rest"):
                connection.exec_driver_sql(f"ALTER TABLE worker.{table} SET UNLOGGED")  # quicker, and planned alike
                connection.exec_driver_sql(f"ALTER TABLE worker.{table} SET (autovacuum_enabled = off)")
            add(connection, 200_000, queue="'odd'", type="'un:known'", priority=1)
            connection.exec_driver_sql("ANALYZE worker.tasks")
            add(connection, 1_000)
            add(connection, 1_000, queue="'odd'")
            add(connection, MILLION, wait="interval '100 years'", ready="false")
            add(connection, MILLION, priority=-1)
            add(connection, MILLION, queue="'other'")
            add(connection, 100 * LANES, queue=f"'lane ' || mod(n, {LANES})")
            connection.exec_driver_sql(_FINISHED)
            connection.exec_driver_sql(
                "INSERT INTO worker.workers (id, name, lease, concurrency, types, queues, started_at, last_seen_at)"
                " VALUES ('w1', 'w1', 60, 5, '{}', '{}', now(), now())"
            )
        yield engine
        engine.dispose()


def add(connection: Connection, count: int, **changes: object) -> None:
    """Pending e-mails in the default queue, due, with *changes* written in SQL."""
    known = {"type": f"'{EMAIL}'", "queue": "'default'", "priority": 0, "wait": "interval '0'", "ready": "true"}
    connection.exec_driver_sql(_INSERT.format(**known | {"count": count} | changes))


@pytest.fixture(scope="module", params=STATISTICS)
def known(request: pytest.FixtureRequest, full: Engine) -> Engine:
    """The full database with such statistics as the planner may have to do with."""
    with full.begin() as connection:
        if request.param == "none":
            connection.exec_driver_sql(_FORGET.format(rows=-1))
        elif request.param == "of an empty table":
            connection.exec_driver_sql(_FORGET.format(rows=0))
        elif request.param == "fresh":
            connection.exec_driver_sql("ANALYZE worker.tasks, worker.finished")
    return full


@pytest.fixture
def connection(known: Engine) -> Iterator[Connection]:
    with known.connect() as connection:
        yield connection


@pytest.fixture
def tasks(connection: Connection) -> PostgresTasks:
    return PostgresTasks(Statements(connection, "worker"))


@pytest.fixture
def explained(connection: Connection) -> Callable[[Callable[[], object]], list[Plan]]:
    return lambda work: plans_of(connection, work)


Explained = Callable[[Callable[[], object]], list[Plan]]


def asked(*queues: str, limit: int = BATCH, **changes: Any) -> ClaimRequest:
    types = (EMAIL, REPORT)
    known: dict[str, Any] = {"worker_id": "w1", "types": types, "queues": queues, "limit": limit, "promote": False}
    return ClaimRequest(**known | changes)


@pytest.mark.parametrize("limit", [1, 5, BATCH, 500])
def test_a_claim_from_one_queue_reads_its_head(tasks: PostgresTasks, explained: Explained, limit: int) -> None:
    """
    In the order of the index, without a sort, whatever is scheduled, less urgent, elsewhere or over.
    """
    [plan] = explained(lambda: tasks.claim(asked("default", limit=limit)))

    assert ([], 0, True) == (plan.read_through, plan.sorted, "tasks_ready" in plan.indexes)
    assert plan.buffers <= EACH * (limit + 1)


def test_a_claim_from_some_queues_reads_the_head_of_each(tasks: PostgresTasks, explained: Explained) -> None:
    """
    It sorts what the heads hold and nothing else.
    """
    [plan] = explained(lambda: tasks.claim(asked("default", "other")))

    assert ([], True) == (plan.read_through, "tasks_ready" in plan.indexes)
    assert plan.sorted <= BATCH * 2
    assert plan.buffers <= EACH * BATCH * 2


def test_a_claim_from_all_queues_reads_the_head_of_each(tasks: PostgresTasks, explained: Explained) -> None:
    """
    A hundred lanes and three more, one of them with a lot of an unknown type in front, which has to be stepped over.
    """
    [plan] = explained(lambda: tasks.claim(asked(limit=5)))

    assert ([], {"tasks_ready", "workers_pkey"}) == (plan.read_through, plan.indexes | {"workers_pkey"})
    assert plan.sorted <= 5 * (LANES + 3)


def test_unknown_types_in_front_are_stepped_over_in_the_index(tasks: PostgresTasks, explained: Explained) -> None:
    """
    They cost the claim from the front, and must not make it read and sort the table instead.
    """
    [plan] = explained(lambda: tasks.claim(asked("odd")))

    assert ([], 0, True) == (plan.read_through, plan.sorted, "tasks_ready" in plan.indexes)


def test_versions_change_nothing_of_how_a_claim_reads(tasks: PostgresTasks, explained: Explained) -> None:
    """
    Whatever is newer is stepped over as an unknown type is.
    """
    versions = (3, 2)
    [one] = explained(lambda: tasks.claim(asked("default", versions=versions)))
    [every] = explained(lambda: tasks.claim(asked(versions=versions, limit=5)))

    for plan in (one, every):
        assert ([], {"tasks_ready", "workers_pkey"}) == (plan.read_through, plan.indexes | {"workers_pkey"})
    assert (0, True) == (one.sorted, every.sorted <= 5 * (LANES + 3))
    assert one.buffers <= EACH * (BATCH + 1)


def test_a_claim_onwards_reads_nothing_of_what_lies_before(tasks: PostgresTasks, explained: Explained) -> None:
    """
    It starts in the index where the last claim ended.
    """
    claimed = tasks.claim(asked("odd", limit=1)).tasks
    after = tuple(Position(task.queue, task.priority, task.scheduled_at, task.id) for task in claimed)

    [plan] = explained(lambda: tasks.claim(asked(after=after)))

    assert ([], True) == (plan.read_through, "tasks_ready" in plan.indexes)
    assert plan.sorted <= BATCH
    assert plan.buffers <= EACH * BATCH


@pytest.mark.parametrize("queues", [(), ("default",), ("default", "other")])
def test_asking_for_the_next_due_time_reads_a_few_pages(
    tasks: PostgresTasks, explained: Explained, queues: tuple[str, ...]
) -> None:
    """
    It ends at the first task that is ready.
    """
    [plan] = explained(lambda: tasks.next_due_in(asked(*queues)))

    assert ([], 0) == (plan.read_through, plan.sorted)
    assert plan.buffers <= 15


def test_timing_the_front_reads_what_a_claim_would(tasks: PostgresTasks, explained: Explained) -> None:
    """
    From one queue, a page or two for each task it finds.
    """
    [plan] = explained(lambda: tasks.time_front(asked("default")))

    assert ([], 0) == (plan.read_through, plan.sorted)
    assert plan.buffers <= EACH * BATCH


def test_promoting_reads_what_has_fallen_due(tasks: PostgresTasks, explained: Explained) -> None:
    """
    Nothing, beside a million tasks that wait for another year.
    """
    promoting, _ = explained(lambda: tasks.claim(asked("default", limit=1, promote=True)))

    assert ([], 0, {"tasks_waiting"}) == (promoting.read_through, promoting.sorted, promoting.indexes)
    assert promoting.buffers <= 10


def test_settling_finds_its_tasks_by_their_ids(tasks: PostgresTasks, explained: Explained) -> None:
    """
    Completed ones, failed ones and ones that are to be retried alike.
    """
    claimed = tasks.claim(asked("default")).tasks
    outcomes = (Completed(JsonText.of(None, field="result")), Failed(a_failure()), RetryIn(a_failure(), 5))

    for outcome in outcomes:
        settled = [Settlement(task, outcome) for task in claimed]
        [plan] = explained(partial(tasks.settle, settled))

        assert ([], 0, {"tasks_pkey"}) == (plan.read_through, plan.sorted, plan.indexes)
        assert plan.buffers <= EACH * BATCH


def test_reporting_progress_finds_its_tasks_by_their_ids(tasks: PostgresTasks, explained: Explained) -> None:
    """
    First those that nobody holds, and then these.
    """
    claimed = tasks.claim(asked("default")).tasks
    reports = [Progress(task_id=task.id, lease_seq=task.lease_seq, percent=50, message="half") for task in claimed]

    [plan] = explained(lambda: tasks.progress(reports))

    assert ([], 0, {"tasks_pkey"}, set()) == (plan.read_through, plan.sorted, plan.indexes, plan.whole_indexes)
    assert plan.buffers <= EACH * BATCH


def test_a_task_is_found_by_its_id(connection: Connection, tasks: PostgresTasks, explained: Explained) -> None:
    """
    Among the tasks and among those that are over.
    """
    [claimed] = tasks.claim(asked("default", limit=1)).tasks

    [plan] = explained(lambda: PostgresStatistics(Statements(connection, "worker")).find(claimed.id))

    assert ([], 0) == (plan.read_through, plan.sorted)
    assert plan.buffers <= 20
