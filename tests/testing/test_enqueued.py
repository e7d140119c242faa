"""Asserting what was enqueued, and what a test reads when it was something else."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app import TaskStatus
from app.testing import TrialQueue
from tests.examples import NOON
from tests.testing.shop import Order, plain, ship, thank

SEVEN = Order(number=7)


def test_an_enqueued_task_is_found_by_job_by_type_and_by_wildcard(queue: TrialQueue) -> None:
    """And handed out, to look at the rest of it."""
    handle = ship.enqueue(SEVEN, delay=60)

    for wanted in (ship, "order:ship", "order:*"):
        [task] = queue.assert_enqueued(wanted)
        assert (handle.id, NOON + timedelta(seconds=60)) == (task.id, task.scheduled_at)


def test_a_payload_is_expected_as_a_model_as_json_or_in_part(queue: TrialQueue) -> None:
    """As a whole it must be equal, defaults included; in part, only what is named."""
    ship.enqueue(SEVEN)
    plain.enqueue([1, {"a": None}])

    queue.assert_enqueued(ship, SEVEN)
    queue.assert_enqueued("order:ship", SEVEN)
    queue.assert_enqueued(ship, {"number": 7, "customer": "Ada"})
    queue.assert_enqueued(ship, containing={"number": 7})
    queue.assert_enqueued(plain, [1, {"a": None}])
    for wrong in ({"payload": {"number": 7}}, {"payload": Order(number=8)}, {"containing": {"number": 8}}):
        queue.assert_enqueued(ship, **wrong, count=0)
    queue.assert_enqueued(plain, containing={"a": None}, count=0)
    queue.assert_enqueued(plain, None, count=0)


def test_the_number_is_one_at_least_or_the_one_given(queue: TrialQueue) -> None:
    """None is expected with ``count=0``."""
    ship.enqueue_many([Order(number=number) for number in range(3)])

    assert 3 == len(queue.assert_enqueued(ship))
    assert [0, 1, 2] == [task.payload["number"] for task in queue.assert_enqueued(ship, count=3)]
    queue.assert_enqueued(thank, count=0)
    with pytest.raises(AssertionError, match=r"expected 2 task\(s\) of type 'order:ship', found 3"):
        queue.assert_enqueued(ship, count=2)


def test_a_failed_assertion_says_what_was_enqueued(queue: TrialQueue) -> None:
    """What was wanted, and a line for each task that there is."""
    ship.enqueue(SEVEN)

    with pytest.raises(AssertionError) as failed:
        queue.assert_enqueued(thank, containing={"number": 7})

    assert (
        "expected at least one task of type 'order:thank' with a payload containing {'number': 7}, found 0; enqueued:\n"
        "  order:ship {'number': 7, 'customer': 'Ada'}, pending, due 2026-03-01 12:00:00+00:00"
    ) == str(failed.value)


def test_on_an_empty_queue_a_failed_assertion_says_nothing_was(queue: TrialQueue) -> None:
    """In so many words."""
    with pytest.raises(AssertionError, match="found 0; enqueued:\n  nothing"):
        queue.assert_enqueued(ship)


def test_what_has_run_or_gone_was_enqueued_all_the_same(queue: TrialQueue) -> None:
    """A task shows how it is now; one that was cleaned up, how it was enqueued."""
    plain.enqueue(1)
    queue.drain()
    [ended] = queue.enqueued(plain)
    queue.clock.advance(days=1)
    queue.tasks.cleanup_tasks().execute(older_than=0)

    [gone] = queue.enqueued("pl*")

    assert (TaskStatus.COMPLETED, TaskStatus.PENDING) == (ended.status, gone.status)


def test_what_was_rolled_back_was_not_enqueued(queue: TrialQueue) -> None:
    """And what a Session commits is, in the order of the commits."""
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        ship.enqueue_in(session, SEVEN)
        session.rollback()
    with Session(engine) as session, session.begin():
        ship.enqueue_in(session, Order(number=8))
        plain.enqueue(9)
        queue.assert_enqueued(ship, count=0)
    engine.dispose()

    assert [9, {"number": 8, "customer": "Ada"}] == [task.payload for task in queue.enqueued()]
