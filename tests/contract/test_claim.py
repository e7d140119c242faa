"""Claim: which tasks a worker gets, and in which order."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.tasks.status import TaskStatus
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT, new_task


def test_a_claimed_task_runs_under_its_worker(queue: Queue) -> None:
    """
    A claim spends an attempt, raises the fence and says who runs the task since when.
    """
    queue.register("w1")
    task = queue.enqueue()
    queue.clock.advance(5)

    [claimed] = queue.claim("w1")

    assert task.id == claimed.id
    assert (TaskStatus.RUNNING, "w1", 1, 1) == (
        claimed.status,
        claimed.worker_id,
        claimed.attempts,
        claimed.lease_seq,
    )
    assert NOON + timedelta(seconds=5) == claimed.started_at
    assert (None, None) == (claimed.finished_at, claimed.error)


def test_what_a_claim_hands_out_is_what_was_stored(queue: Queue) -> None:
    """
    The claimed task and the one that is read back are alike in every field.
    """
    queue.register()
    queue.enqueue(priority=7, timeout=30, correlation_id="order 7", tags=["a", "b c"], max_attempts=9)

    claimed = queue.claim_one()

    found = queue.find(claimed)
    assert {name: getattr(found, name) for name in found.__slots__} == {
        name: getattr(claimed, name) for name in claimed.__slots__
    }


def test_a_claimed_task_is_claimed_by_nobody_else(queue: Queue) -> None:
    """
    Neither another worker nor the same one gets a running task.
    """
    queue.register("w1")
    queue.register("w2")
    queue.enqueue()
    queue.claim_one("w1")

    again = [*queue.claim("w1"), *queue.claim("w2")]

    assert [] == again


def test_the_most_urgent_comes_first_then_the_oldest(queue: Queue) -> None:
    """
    Priority beats age; among equals the order is that of the enqueueing.
    """
    queue.register()
    priorities = [0, 5, -3, 5, 0, 2**31 - 1, -(2**31)]
    tasks = queue.enqueue_many([new_task(priority=priority) for priority in priorities])

    claimed = queue.claim(limit=10)

    expected = [tasks[index].id for index in (5, 1, 3, 0, 4, 2, 6)]
    assert expected == [task.id for task in claimed]


def test_age_is_the_time_a_task_was_scheduled_for(queue: Queue) -> None:
    """
    Of two due tasks the one that was due earlier goes first, though it was enqueued later.
    """
    queue.register()
    late = queue.enqueue(scheduled_at=NOON + timedelta(seconds=20))
    early = queue.enqueue(scheduled_at=NOON + timedelta(seconds=10))
    queue.clock.advance(30)

    claimed = queue.claim(limit=2)

    assert [early.id, late.id] == [task.id for task in claimed]


def test_one_claim_after_the_other_keeps_the_order(queue: Queue) -> None:
    """
    Claims of two tasks each take the queue from its front.
    """
    queue.register()
    tasks = queue.enqueue_many([new_task() for _ in range(5)])

    claims = [queue.claim(limit=2) for _ in range(4)]

    assert [2, 2, 1, 0] == [len(claim) for claim in claims]
    assert [task.id for task in tasks] == [task.id for claim in claims for task in claim]


def test_urgency_beats_age_when_a_claim_takes_only_one(queue: Queue) -> None:
    """
    The task that waits longest is not the first when a more urgent one is due.
    """
    queue.register()
    tasks = []
    for priority in (0, -1, 1, 0, 1):
        tasks.append(queue.enqueue(priority=priority))
        queue.clock.advance(1)

    claimed = [queue.claim_one().id for _ in tasks]

    assert [tasks[index].id for index in (2, 4, 0, 3, 1)] == claimed


def test_a_task_is_not_claimed_before_it_is_due(queue: Queue) -> None:
    """
    A task scheduled for a moment is there at that moment and not a microsecond before.
    """
    queue.register()
    task = queue.enqueue(scheduled_at=NOON + timedelta(seconds=10))

    queue.clock.advance(9.999999)
    too_early = queue.claim()
    queue.clock.advance(0.000001)
    in_time = queue.claim()

    assert ([], [task.id]) == (too_early, [one.id for one in in_time])


def test_a_delay_is_counted_by_the_queues_clock(queue: Queue) -> None:
    """
    A delay of ninety seconds becomes a moment ninety seconds after the enqueueing.
    """
    queue.register()
    task = queue.enqueue(delay=timedelta(seconds=90))

    too_early = queue.claim()
    queue.clock.advance(90)

    assert NOON + timedelta(seconds=90) == task.scheduled_at == queue.find(task).scheduled_at
    assert ([], [task.id]) == (too_early, [one.id for one in queue.claim()])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"types": (EMAIL,)}, ["mail in default", "mail in slow"]),
        ({"types": (REPORT,)}, ["report in slow"]),
        ({"types": (EMAIL, REPORT), "queues": ("slow",)}, ["mail in slow", "report in slow"]),
        ({"types": (EMAIL,), "queues": ("slow", "default")}, ["mail in default", "mail in slow"]),
        ({"types": (EMAIL,), "queues": ("nowhere",)}, []),
        ({"types": ("email:*",)}, []),
        ({"types": ()}, []),
    ],
)
def test_a_claim_takes_only_its_types_and_queues(queue: Queue, asked: dict[str, Any], expected: list[str]) -> None:
    """
    Types are exact and none of them means nothing; queues are exact and none of them means all.
    """
    queue.register()
    queue.enqueue(EMAIL, payload="mail in default")
    queue.enqueue(EMAIL, payload="mail in slow", queue="slow")
    queue.enqueue(REPORT, payload="report in slow", queue="slow")

    claimed = queue.claim(limit=10, **asked)

    assert expected == [task.payload for task in claimed]


def test_what_does_not_fit_does_not_count_towards_the_limit(queue: Queue) -> None:
    """
    Tasks of other types in front of the queue cost a claim none of its places.
    """
    queue.register()
    queue.enqueue_many([new_task("other:type", priority=1) for _ in range(20)])
    task = queue.enqueue(EMAIL)

    claimed = queue.claim(types=(EMAIL,), limit=1)

    assert [task.id] == [one.id for one in claimed]


def test_nothing_is_claimed_for_a_worker_that_is_not_registered(queue: Queue) -> None:
    """
    A task claimed by nobody known would be looked for by nobody.
    """
    queue.enqueue()

    claimed = queue.claim("stranger")

    assert ([], 1) == (claimed, queue.stats().pending)


def test_nothing_is_claimed_for_a_worker_that_was_buried(queue: Queue) -> None:
    """
    A worker whose lease ran out gets nothing until it comes back under a new life.
    """
    queue.register("w1")
    queue.enqueue()
    queue.lose("w1")

    claimed = queue.claim("w1")

    assert ([], 1) == (claimed, queue.stats().pending)


def test_nothing_is_claimed_for_a_worker_that_left(queue: Queue) -> None:
    """
    Leaving ends the right to claim at once.
    """
    queue.register("w1")
    queue.enqueue()
    queue.leave("w1")

    claimed = queue.claim("w1")

    assert [] == claimed


def test_a_worker_is_told_how_long_it_may_sleep(queue: Queue) -> None:
    """
    The wait is that until the earliest task, nothing when it is due, and None when there is none.
    """
    nothing = queue.next_due_in()
    queue.enqueue(delay=300)
    queue.enqueue(delay=120.5)
    later = queue.next_due_in()
    queue.clock.advance(500)
    due = queue.next_due_in()

    assert (None, 120.5, 0) == (nothing, later, due)


def test_a_worker_sleeps_through_what_it_would_not_claim(queue: Queue) -> None:
    """
    The wait takes account of the same types and queues as the claim.
    """
    queue.register()
    queue.enqueue("other:type")
    queue.enqueue(EMAIL, queue="slow", delay=10)
    queue.enqueue(EMAIL, queue="fast", delay=20)
    queue.claim(types=("other:type",))

    waits = [
        queue.next_due_in(types=("other:type",)),
        queue.next_due_in(types=(EMAIL,)),
        queue.next_due_in(types=(EMAIL,), queues=("fast",)),
        queue.next_due_in(types=(EMAIL,), queues=("nowhere",)),
        queue.next_due_in(types=()),
    ]

    assert [None, 10, 20, None, None] == waits
