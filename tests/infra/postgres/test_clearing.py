"""Clearing in PostgreSQL: days are dropped, what stays is moved, and no more is read than has to be."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from app.domain.clearing import Place, Way
from app.domain.retention_rules import RetentionRules
from app.infra.postgres import clearing
from app.infra.postgres.clearing import PostgresClearing
from app.infra.postgres.statements import Statements
from app.usecases.upkeep import DropDays
from app.worker.clearing import ClearingRounds, Round
from tests.contract.subject import Queue
from tests.examples import NOON
from tests.infra.postgres.callers import engine_of
from tests.infra.postgres.days import (
    DAY,
    RULES,
    a_day,
    check_counts,
    old_day,
    one_step,
    partitions,
    planned,
    queue_of,
    round_of,
    where,
)
from tests.infra.postgres.plans import plans_of


@pytest.fixture
def queue(engine: Engine) -> Queue:
    """A queue of its own, at noon, with one worker and room for today."""
    queue = queue_of(engine)
    queue.register(lease=1e9)
    queue.keep_up()
    return queue


def test_a_day_goes_with_its_partition(engine: Engine, queue: Queue) -> None:
    """
    And its tallies with it; other days are left alone.
    """
    old_day(queue, failed=0)
    queue.keep_up()
    a_day(queue)

    done = round_of(queue)

    assert (Round(8, 0), "finished_20260301" in partitions(engine)) == (done, False)
    assert {"finished_20260304": 10} == where(engine)
    check_counts(engine)


def test_a_few_that_stay_are_moved_and_go_from_there(engine: Engine, queue: Queue) -> None:
    """
    When their own time has come, in chunks by the moment of their end.
    """
    old_day(queue)

    moved, after = round_of(queue), where(engine)
    names = partitions(engine)
    check_counts(engine)
    queue.clock.advance(30 * DAY)
    gone = round_of(queue)

    assert (Round(8, 2), {"finished_kept": 2}, False) == (moved, after, "finished_20260301" in names)
    assert (Round(2, 0), {}) == (gone, where(engine))
    check_counts(engine)


def test_of_a_day_of_which_most_stays_the_others_are_deleted(engine: Engine, queue: Queue) -> None:
    """
    Where they lie, and it keeps its partition, which goes with the last of them.
    """
    old_day(queue, 5, 5)

    deleted, after = round_of(queue), where(engine)
    check_counts(engine)
    queue.clock.advance(30 * DAY)
    dropped = round_of(queue)

    assert (Round(5, 0), {"finished_20260301": 5}) == (deleted, after)
    assert (Round(5, 0), {}, False) == (dropped, where(engine), "finished_20260301" in partitions(engine))
    check_counts(engine)


@pytest.mark.parametrize("share", [(40, 10), (20, 30), (40, 0)])
@pytest.mark.parametrize("has_room", [True, False])
def test_many_are_dealt_with_in_steps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, share: tuple[int, int], has_room: bool
) -> None:
    """
    Of a few rows and a page each, in whatever partition they lie, and on the shelf of what was kept.
    """
    monkeypatch.setattr(clearing, "MOST", 3)
    monkeypatch.setattr(clearing, "PIECE", 1)
    monkeypatch.setattr("app.infra.postgres.kept.CHUNK", 4)
    queue = queue_of(engine)
    queue.register(lease=1e9)
    if has_room:
        queue.keep_up()
    old_day(queue, *share)

    first = round_of(queue)
    check_counts(engine)
    stays = queue.stats().failed
    queue.clock.advance(30 * DAY)
    second = round_of(queue)

    assert (share[0], share[1], share[1]) == (first.removed, stays, second.removed)
    assert ({}, 0) == (where(engine), queue.stats().total)
    check_counts(engine)


def test_a_round_has_an_end_and_the_next_one_goes_on_there(
    engine: Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing that is moved is moved again, and at the end all has gone that had to.
    """
    monkeypatch.setattr(clearing, "MOST", 2)
    monkeypatch.setattr("app.worker.clearing.STEPS", 2)
    old_day(queue, 40, 10)
    rounds = ClearingRounds(queue.uow, RULES)

    done: list[Round] = []
    while not done or done[-1] != Round():
        done.append(rounds.round())
        check_counts(engine)

    assert (40, 10) == (sum(one.removed for one in done), sum(one.moved for one in done))
    assert len(done) > 3


def test_a_role_that_may_not_drop_deletes(engine: Engine, queue: Queue) -> None:
    """
    All that goes goes, what stays stays where it is, and what it may not do is told.
    """
    old_day(queue)
    name = f"{engine.url.database}_plain"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA worker TO {name}"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker TO {name}"))
    try:
        with engine_of(engine, connect_args={"options": f"-c role={name}"}) as plain:
            done = round_of(queue_of(plain, queue.clock))
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))

    assert (8, 0, {"finished_20260301": 2}) == (done.removed, done.moved, where(engine))
    assert 'only the owner of "worker"."finished_days" may' in str(done.forbidden)
    check_counts(engine)


def test_what_comes_to_a_day_that_is_gone_goes_in_the_next_round(engine: Engine, queue: Queue) -> None:
    """
    It ends in the partition for the rest, found and counted there.
    """
    queue.enqueue()
    late = queue.claim_one()
    old_day(queue, failed=0)
    first = round_of(queue)
    queue.clock.advance(-3 * DAY)
    queue.complete(late)
    queue.clock.advance(3 * DAY)
    found, there = queue.find(late).id, where(engine)
    second = round_of(queue)

    assert (Round(8, 0), late.id, {"finished_rest": 1}, Round(1, 0)) == (first, found, there, second)
    check_counts(engine)


def test_of_several_workers_one_clears(engine: Engine, queue: Queue) -> None:
    """
    The others find nothing to do until it has committed, and do not wait.
    """
    old_day(queue)
    with one_step(engine, queue, Way.MOVE):
        meanwhile = round_of(queue)

    assert (Round(), Round(8, 0)) == (meanwhile, round_of(queue))
    check_counts(engine)


FILL = text(
    "INSERT INTO worker.finished (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload,"
    " finished_at, shelf) SELECT gen_random_uuid(), 'bulk', 'default',"
    " CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END,"
    " 0, 3, :first, :first, '{}', :first + n * interval '1 ms', :shelf FROM generate_series(1, 40000) n"
)
COUNT = text(
    "INSERT INTO worker.tallies (day, type, queue, status, shelf, number)"
    " SELECT CAST(finished_at AT TIME ZONE 'UTC' AS date), type, queue, status, shelf, count(*) FROM worker.finished"
    " GROUP BY 1, 2, 3, 4, 5"
)


@pytest.mark.parametrize("shelf", [0, 1])
def test_a_step_reads_its_piece_of_the_day_and_nothing_else(
    engine: Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch, shelf: int
) -> None:
    """
    By where it lies, or by an index on the ends; whatever else is in that day, and in others.
    """
    monkeypatch.setattr(clearing, "PIECE", 5)
    monkeypatch.setattr("app.infra.postgres.kept.CHUNK", 100)
    with engine.begin() as connection:
        connection.execute(FILL, {"first": NOON, "shelf": shelf})
        connection.execute(FILL, {"first": NOON + timedelta(days=1), "shelf": shelf})
        connection.execute(COUNT)
        connection.execute(text("ANALYZE worker.finished"))
    queue.clock.advance(1.4 * DAY)
    rules = RetentionRules.of("completed=0, failed=30d")
    clearance = planned(engine, queue, rules)

    with engine.connect() as connection, connection.begin():
        clearing_ = PostgresClearing(Statements(connection, "worker", queue.clock.now()))
        plans = plans_of(connection, lambda: clearing_.clear(clearance, 100_000 if shelf else 20, 0.2))

    [plan] = [plan for plan in plans if any(node["Node Type"] == "ModifyTable" for node in plan.nodes)]
    assert [] == plan.read_through
    assert plan.buffers < 5_000
    expected = (Place.KEPT, Way.DELETE) if shelf else (Place.DAY, Way.MOVE)
    assert expected == (clearance.held.place, clearance.way)


def test_dropping_reads_nothing_of_the_day(engine: Engine, queue: Queue) -> None:
    """
    What the tallies say is enough: ten million rows go as ten do.
    """
    with engine.begin() as connection:
        connection.execute(FILL, {"first": NOON, "shelf": 0})
        connection.execute(COUNT)
    queue.clock.advance(3 * DAY)
    sent: list[str] = []

    def note(*what: Any) -> None:
        sent.append(what[2])

    event.listen(engine, "before_cursor_execute", note)
    done = round_of(queue, RetentionRules.of("*=1d"))
    event.remove(engine, "before_cursor_execute", note)

    about = [statement.split()[0] for statement in sent if "finished_20260301" in statement]
    assert (Round(40_000, 0), ["ALTER", "DROP"]) == (done, about)
    assert not [statement for statement in sent if "FROM worker.finished" in statement]


def test_empty_days_still_go(engine: Engine, queue: Queue) -> None:
    """
    Those of which nothing was ever there, or everything was retried.
    """
    queue.clock.advance(5 * DAY)
    assert NOON.date() in queue.uow.run(DropDays())
    assert Round() == round_of(queue)
