"""Clearing beside others: whoever is at work meanwhile, or dies of it, loses nothing and waits for next to nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.domain.clearing import Way
from app.domain.retention_rules import RetentionRules
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.repository import Settlement
from app.infra.postgres import clearing
from app.infra.postgres.statements import Statements
from app.infra.postgres.upkeep import PostgresUpkeep
from app.usecases.tasks.retry import RetryTask
from app.usecases.tasks.settle import SettleTasks
from app.worker.clearing import PATIENCE, Round
from tests.contract.subject import Queue, completed
from tests.examples import NOON, ManualClock, new_task
from tests.infra.postgres.callers import until
from tests.infra.postgres.days import (
    DAY,
    NO_LETTER,
    a_day,
    check_counts,
    clear,
    old_day,
    one_step,
    planned,
    queue_of,
    round_of,
    waits_for_a_lock,
    where,
)


@pytest.fixture
def queue(engine: Engine) -> Queue:
    """A queue of its own, at noon, with one worker and room for today."""
    queue = queue_of(engine)
    queue.register(lease=1e9)
    queue.keep_up()
    return queue


def test_whoever_reads_the_history_keeps_a_day_from_being_dropped_and_nobody_waits_for_long(
    engine: Engine, queue: Queue
) -> None:
    """
    The tries last as long as they may, and no longer; the next round gets it.
    """
    old_day(queue, failed=0)
    with engine.begin() as reader:
        reader.execute(text("SELECT count(*) FROM worker.finished"))
        began = time.monotonic()
        # That it ends is what shows that nobody waits for long: the reader is here until it has.
        meanwhile = round_of(queue)
        took = time.monotonic() - began
        a_day(queue)
    after = round_of(queue)

    assert (Round(), Round(8, 0)) == (meanwhile, after)
    assert sum(PATIENCE) < took
    check_counts(engine)


def test_nobody_who_claims_waits_for_who_drops(engine: Engine, queue: Queue) -> None:
    """
    Even while that transaction stays open; whoever settles waits for its end.
    """
    old_day(queue, failed=0)
    queue.enqueue()
    with ThreadPoolExecutor(1) as thread:
        with one_step(engine, queue, Way.DROP) as connection:
            claimed = thread.submit(queue.claim_one).result(10)
            settling = thread.submit(queue.complete, claimed)
            until(lambda: waits_for_a_lock(connection))
        assert settling.result(10)

    assert 1 == queue.stats().total
    check_counts(engine)


def test_nobody_who_settles_waits_for_who_moves_or_deletes(engine: Engine, queue: Queue) -> None:
    """
    They are at work in other partitions.
    """
    for share, way in (((8, 2), Way.MOVE), ((5, 5), Way.DELETE)):
        old_day(queue, *share)
        queue.enqueue()
        with one_step(engine, queue, way), ThreadPoolExecutor(1) as thread:
            assert thread.submit(lambda: queue.complete(queue.claim_one())).result(10)
        round_of(queue)
        queue.keep_up()
    check_counts(engine)


def test_what_comes_to_a_day_before_it_is_dropped_stays(engine: Engine, queue: Queue) -> None:
    """
    Settled late, it is seen when nobody can come any more; what would have gone anyhow goes along.
    """
    queue.enqueue_many([new_task(), new_task()])
    late, later = queue.claim(limit=2)
    old_day(queue, failed=0)
    clearance = planned(engine, queue)
    now = queue.clock.now()
    queue.clock.advance(-3 * DAY)  # a settlement at that day's time
    queue.complete(late)
    queue.settle(later, NO_LETTER)
    queue.clock.advance(3 * DAY)

    refused = clear(engine, queue, clearance)
    there = where(engine)
    check_counts(engine)
    done = round_of(queue)

    assert (Way.DROP, (0, 0, None, False)) == (clearance.way, tuple(refused))
    assert ({"finished_20260301": 10}, Round(9, 1)) == (there, done)
    assert (now, later.id) == (queue.clock.now(), queue.find(later).id)
    check_counts(engine)


def test_what_is_on_its_way_to_a_day_holds_its_end_up(engine: Engine, queue: Queue) -> None:
    """
    Until that transaction has ended, committed or not.
    """
    old_day(queue, failed=0)
    queue.enqueue()
    late = queue.claim_one()
    at_work = queue_of(engine, ManualClock(NOON))
    with Session(engine) as session:
        at_work.uow.join(session, SettleTasks(), [Settlement(late, completed())])
        meanwhile = round_of(queue)
        session.rollback()
    after = round_of(queue)

    assert (Round(), Round(8, 0)) == (meanwhile, after)
    check_counts(engine)


def retried_in_sql(queue: Queue, engine: Engine, id: UUID) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT worker.retry(:id)"), {"id": id})


@pytest.mark.parametrize("verb", ["in Python", "in SQL"])
def test_a_task_that_is_just_being_moved_is_retried(engine: Engine, queue: Queue, verb: str) -> None:
    """
    Whoever retries it waits for the move, and finds it where it is then.
    """
    stays = old_day(queue)[-1]
    with ThreadPoolExecutor(1) as thread:
        with one_step(engine, queue, Way.MOVE) as connection:
            if verb == "in SQL":
                retrying: Any = thread.submit(retried_in_sql, queue, engine, stays.id)
            else:
                retrying = thread.submit(queue.retry, stays)
            until(lambda: waits_for_a_lock(connection))
        retrying.result(10)

    assert ("pending", {"finished_20260301": 8, "finished_kept": 1}) == (queue.find(stays).status, where(engine))
    check_counts(engine)


def test_a_task_that_is_just_being_retried_is_not_moved(engine: Engine, queue: Queue) -> None:
    """
    Nobody waits for the other; the rest is moved, and the day goes when the retry has ended.
    """
    stays = old_day(queue)[-1]
    with Session(engine) as session:
        queue.uow.join(session, RetryTask(), stays.id)
        meanwhile = round_of(queue)
        session.commit()
    check_counts(engine)
    after = round_of(queue)

    assert (Round(0, 1), Round(8, 0), "pending") == (meanwhile, after, queue.find(stays).status)
    check_counts(engine)


def test_a_task_that_is_just_being_retried_keeps_its_day_from_being_dropped(engine: Engine, queue: Queue) -> None:
    """
    Whether that is committed or not, nothing is lost and nothing is counted twice.
    """
    for end in (Session.rollback, Session.commit):
        stays = old_day(queue, 0, 3)[-1]
        rules = RetentionRules.of("*=1d")
        with Session(engine) as session:
            queue.uow.join(session, RetryTask(), stays.id)
            meanwhile = round_of(queue, rules)
            end(session)
        check_counts(engine)
        after = round_of(queue, rules)
        check_counts(engine)
        queue.keep_up()

        assert (Round(), Round(3 if end is Session.rollback else 2, 0)) == (meanwhile, after)
    assert "pending" == queue.find(stays).status


def test_a_task_whose_day_is_just_being_dropped_is_not_there_any_more(engine: Engine, queue: Queue) -> None:
    """
    Whoever retries it waits for that moment, and is told.
    """
    goes = old_day(queue, 0, 3)[-1]
    with ThreadPoolExecutor(1) as thread:
        with one_step(engine, queue, Way.DROP, RetentionRules.of("*=1d")) as connection:
            retrying = thread.submit(queue.retry, goes)
            until(lambda: waits_for_a_lock(connection))
        with pytest.raises(TaskNotFound):
            retrying.result(10)

    assert 0 == queue.stats().total
    check_counts(engine)


def test_a_clean_up_misses_nothing_that_is_just_being_moved(engine: Engine, queue: Queue) -> None:
    """
    It waits for the move, and takes what was moved as well.
    """
    old_day(queue)
    with ThreadPoolExecutor(1) as thread:
        with one_step(engine, queue, Way.MOVE) as connection:
            cleaning = thread.submit(queue.cleanup, 2.9 * DAY)  # of a day that is not over by then, row by row
            until(lambda: waits_for_a_lock(connection))
        assert 10 == cleaning.result(10)

    assert ({}, 0) == (where(engine), queue.stats().total)
    check_counts(engine)


def test_tallies_that_are_just_being_folded_are_forgotten_with_their_day(engine: Engine, queue: Queue) -> None:
    """
    What is folded meanwhile is new to who drops it, and must not be left over.
    """
    old_day(queue, failed=0)
    clearance = planned(engine, queue)
    with ThreadPoolExecutor(1) as thread:
        with engine.begin() as folder:
            PostgresUpkeep(Statements(folder, "worker"), queue.clock.now).fold_tallies()
            dropping = thread.submit(clear, engine, queue, clearance, patience=10)
            until(lambda: waits_for_a_lock(folder))
        assert 8 == dropping.result(10).removed

    assert ({}, 0) == (where(engine), queue.stats().total)
    check_counts(engine)


def test_readers_see_each_task_once_at_every_moment(
    engine: Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In lists, in counts and by its id, while it is moved and the others go.
    """
    monkeypatch.setattr(clearing, "MOST", 1)
    tasks = old_day(queue, 90, 30)
    stays = {task.id for task in tasks[90:]}
    seen: list[bool] = []
    is_over = threading.Event()

    def read(number: int) -> None:
        reader = queue_of(engine, queue.clock)
        while not is_over.is_set():
            listed = [task.id for task in reader.newest(status="failed", limit=1000)]
            found = reader.find(tasks[90 + len(seen) % 30]).id
            seen.append((30, stays) == (len(listed), set(listed)) and found in stays and reader.stats().failed == 30)

    with ThreadPoolExecutor(2) as threads:
        reading = [threads.submit(read, number) for number in range(2)]
        until(lambda: len(seen) > 4)
        while queue.stats().completed:
            round_of(queue)
        is_over.set()
        for one in reading:
            one.result(10)

    assert {True} == set(seen)
    assert {"finished_kept": 30} == where(engine)
    check_counts(engine)
