"""The history in PostgreSQL: a partition a day, made ahead, and tallies that say what is in them."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.domain.upkeep import UpkeepForbidden
from app.infra.postgres.migrations import Migrations
from app.infra.postgres.statements import Statements
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.infra.postgres.upkeep import PostgresUpkeep
from app.usecases.tasks.cleanup import CleanupTasks
from app.usecases.upkeep import DropDays, FoldTallies, MakeDays
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import NOON, ManualClock, Recorder, new_task
from tests.infra.postgres.callers import engine_of, until

DAY = 86_400.0
TODAY = NOON.date()


def queue_of(engine: Engine, clock: ManualClock | None = None) -> Queue:
    clock, publisher = clock or ManualClock(), Recorder()
    return Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock), clock, publisher)


@pytest.fixture
def queue(engine: Engine) -> Queue:
    """A queue of its own, at noon, with one worker."""
    queue = queue_of(engine)
    queue.register(lease=1e9)
    return queue


def complete(queue: Queue, number: int = 1) -> None:
    queue.enqueue_many([new_task() for _ in range(number)])
    for task in queue.claim(limit=number):
        queue.complete(task)


def asked(engine: Engine, sql: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(sql)).all()


def where(engine: Engine) -> dict[str, int]:
    """How many rows lie in which partition."""
    sql = "SELECT tableoid::regclass::text, count(*) FROM worker.finished GROUP BY 1"
    return {name.removeprefix("worker."): number for name, number in asked(engine, sql)}


def tallied(engine: Engine) -> int:
    return int(asked(engine, "SELECT coalesce(sum(number), 0) FROM worker.tallies")[0][0])


def test_a_new_database_has_a_partition_for_today_and_the_days_ahead(empty_database_url: str) -> None:
    """
    Migrating makes them, in the schema that was asked for, and does so again on a later day.
    """
    with engine_of(empty_database_url) as engine:
        Migrations(engine, "queue_a").upgrade()
        made = asked(
            engine,
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'queue_a' AND relkind = 'r' AND relname LIKE 'finished!_%' ESCAPE '!' ORDER BY 1",
        )
        [(today,)] = asked(engine, "SELECT (now() AT TIME ZONE 'UTC')::date")

    ahead = [f"finished_{today + timedelta(days=number):%Y%m%d}" for number in range(4)]
    assert [*ahead, "finished_dead", "finished_kept", "finished_rest"] == [name for (name,) in made]


def test_what_ends_goes_to_its_day_and_without_one_to_the_rest(engine: Engine, queue: Queue) -> None:
    """
    A missing partition stops nobody.
    """
    queue.keep_up()
    complete(queue)
    queue.clock.advance(7 * DAY)
    complete(queue)

    assert {"finished_20260301": 1, "finished_rest": 1} == where(engine)


def test_makers_at_the_same_moment_make_each_day_once(engine: Engine, queue: Queue) -> None:
    """
    None of them fails, and those who come too late make nothing.
    """
    made = in_parallel(6, lambda _: queue.uow.run(MakeDays(ahead=5)))

    assert [TODAY + timedelta(days=number) for number in range(6)] == sorted(day for days in made for day in days)


def test_a_day_that_has_begun_in_the_rest_stays_there(engine: Engine, queue: Queue) -> None:
    """
    The days after it get theirs, and nothing is lost from sight.
    """
    complete(queue)

    made = [queue.uow.run(MakeDays(ahead=1)) for _ in range(2)]
    complete(queue)

    assert [[date(2026, 3, 2)], []] == made
    assert ({"finished_rest": 2}, 2) == (where(engine), queue.stats().completed)


def test_nobody_who_settles_waits_for_who_makes_partitions(engine: Engine, queue: Queue) -> None:
    """
    Even while the maker's transaction stays open.
    """
    queue.keep_up()
    queue.clock.advance(DAY)
    with engine.begin() as maker:
        made = PostgresUpkeep(Statements(maker, "worker", queue.clock.now()), queue.clock.now).make_days(3)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(complete, queue).result(10)

    assert (1, {"finished_20260302": 1}) == (len(made), where(engine))


def test_whoever_reads_the_history_keeps_partitions_from_being_made_for_a_moment_only(
    engine: Engine, queue: Queue
) -> None:
    """
    The maker gives up soon, and makes them the next time.
    """
    with engine.begin() as reader:
        reader.execute(text("SELECT count(*) FROM worker.finished"))
        began = time.monotonic()
        meanwhile = queue.uow.run(MakeDays(ahead=0))
        took = time.monotonic() - began
    after = queue.uow.run(MakeDays(ahead=0))

    assert ([], [TODAY]) == (meanwhile, after)
    assert took < 5


def test_a_clean_up_empties_whole_days_whose_partitions_are_dropped_later(engine: Engine, queue: Queue) -> None:
    """
    By the upkeep, once yesterday is over; what lies in the day that the limit cuts is deleted, and the rest stays.
    """
    queue.uow.run(MakeDays(ahead=4))
    for _ in range(4):
        complete(queue, 3)
        queue.clock.advance(DAY)

    removed = queue.cleanup(2.5 * DAY)
    before = where(engine), tallied(engine)
    dropped = queue.uow.run(DropDays())

    assert (6, ({"finished_20260303": 3, "finished_20260304": 3}, 6)) == (removed, before)
    assert [date(2026, 3, 1), date(2026, 3, 2)] == dropped
    assert (6, 6) == (queue.stats().completed, len(queue.newest()))


def test_nobody_who_settles_waits_for_a_clean_up_that_is_not_committed(engine: Engine, queue: Queue) -> None:
    """
    As in an application's own transaction, which may go on for long; and when it rolls back, all is there again.
    """
    queue.uow.run(MakeDays(ahead=4))
    complete(queue, 3)
    queue.clock.advance(2 * DAY)
    with Session(engine) as session:
        removed = queue.uow.join(session, CleanupTasks(), older_than=DAY)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(complete, queue).result(10)
        session.rollback()

    assert (3, 4, 4) == (removed, queue.stats().completed, sum(where(engine).values()))


def test_a_day_that_somebody_reads_is_cleaned_up_row_by_row(engine: Engine, queue: Queue) -> None:
    """
    It takes longer, and is the same; its partition is dropped when the reader has gone.
    """
    queue.keep_up()
    complete(queue, 3)
    queue.clock.advance(3 * DAY)
    with engine.begin() as reader:
        reader.execute(text("SELECT count(*) FROM worker.finished"))
        removed = queue.cleanup(DAY)
        meanwhile = queue.uow.run(DropDays())
    dropped = queue.uow.run(DropDays())

    assert (3, [], [TODAY, TODAY + timedelta(days=1)]) == (removed, meanwhile, dropped)
    assert (0, 0) == (queue.stats().total, tallied(engine))


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"])
def test_a_clean_up_within_the_callers_transaction_counts_right(engine: Engine, queue: Queue, isolation: str) -> None:
    """
    Whatever its isolation, though the tallies were folded meanwhile; and its lock_timeout is afterwards what it was.
    """
    queue.keep_up()
    complete(queue, 3)
    queue.clock.advance(3 * DAY)
    with engine.connect().execution_options(isolation_level=isolation) as connection:
        connection.execute(text("SET lock_timeout = '7s'"))
        connection.execute(text("SELECT FROM worker.tallies"))  # a snapshot, where the isolation knows such a thing
        queue.keep_up()
        removed = queue.uow.join(connection, CleanupTasks(), older_than=DAY)
        timeout = connection.execute(text("SHOW lock_timeout")).scalar()
        connection.commit()

    assert (3, "7s", 0, 0) == (removed, timeout, queue.stats().total, tallied(engine))


def test_a_clean_up_in_the_midst_of_a_folding_counts_right(engine: Engine, queue: Queue) -> None:
    """
    What is folded meanwhile is new to it, and must not be left over.
    """
    queue.keep_up()
    complete(queue, 3)
    queue.clock.advance(3 * DAY)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as folder:
            PostgresUpkeep(Statements(folder, "worker"), queue.clock.now).fold_tallies()
            removed = thread.submit(queue.cleanup, DAY)
            until(lambda: folder.scalar(waiting) == 1)

        assert (3, 0, 0) == (removed.result(10), queue.stats().total, tallied(engine))


def test_more_than_a_chunk_is_deleted_whole(engine: Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Chunk by chunk, from day to day.
    """
    monkeypatch.setattr("app.infra.postgres.tasks.remove.CHUNK", 4)
    complete(queue, 10)
    queue.clock.advance(100)
    complete(queue, 3)

    removed = queue.cleanup(50)

    assert (10, 3, 3) == (removed, queue.stats().total, sum(where(engine).values()))


def test_folding_leaves_one_row_for_each_kind(engine: Engine, queue: Queue) -> None:
    """
    And none where what came has gone again.
    """
    for _ in range(5):
        complete(queue)
    queue.enqueue()
    queue.fail(task := queue.claim_one())
    queue.retry(task)

    folded = [queue.uow.run(FoldTallies()) for _ in range(2)]

    rows = asked(engine, "SELECT type, queue, status, number FROM worker.tallies")
    assert ([7, 0], [("email:send", "default", "completed", 5)]) == (folded, rows)


def test_a_role_that_may_alter_nothing_is_told_what_it_may_not(engine: Engine, queue: Queue) -> None:
    """
    It folds all the same, and nobody else's work is in danger.
    """
    complete(queue)
    complete(queue)
    name = f"{engine.url.database}_plain"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA worker TO {name}"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker TO {name}"))
    try:
        with engine_of(engine, connect_args={"options": f"-c role={name}"}) as plain:
            theirs = queue_of(plain, queue.clock)
            with pytest.raises(
                UpkeepForbidden, match=r'may not make partitions .* owner of "worker"\."finished_days" may'
            ):
                theirs.uow.run(MakeDays())
            folded = theirs.uow.run(FoldTallies())
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))

    assert 2 == folded
