"""Bookmarks: from where a worker claims, when what lies at the front makes claims slow."""

from datetime import timedelta

from app.domain.tasks.repository import ClaimRequest, Position
from app.domain.tasks.task import WorkerTask
from app.worker.bookmarks import Bookmarks
from tests.examples import NOON, a_running_task

FRONT = ClaimRequest(worker_id="w1", types=(), promote=False)
ONWARDS = ClaimRequest(worker_id="w1", types=(), promote=False, after=(Position("a", 0, NOON, a_running_task().id),))
PROMOTING = ClaimRequest(worker_id="w1", types=(), promote=True)


def position(task: WorkerTask) -> Position:
    return Position(task.queue, task.priority, task.scheduled_at, task.id)


def slowed(*claimed: WorkerTask) -> Bookmarks:
    """Bookmarks that have met two claims from the front of 50 ms, the second of which brought *claimed* at 10 s."""
    bookmarks = Bookmarks()
    bookmarks.claimed(FRONT, [], 0.05, 9.0)
    bookmarks.claimed(FRONT, claimed, 0.05, 10.0)
    return bookmarks


def test_quick_claims_all_start_at_the_front() -> None:
    """
    Nothing is remembered, and no time is set for anything.
    """
    bookmarks = Bookmarks()

    for second in range(5):
        bookmarks.claimed(FRONT, [a_running_task()], 0.004, second)

    assert ((), None) == (bookmarks.after(5.0), bookmarks.front_at)


def test_one_slow_claim_may_be_a_busy_moment() -> None:
    """
    Only two in a row say that the front is slow.
    """
    bookmarks = Bookmarks()

    for second in range(6):
        bookmarks.claimed(FRONT, [a_running_task()], 0.05 if second % 2 else 0.004, second)

    assert ((), None) == (bookmarks.after(6.0), bookmarks.front_at)


def test_what_a_claim_takes_for_its_tasks_is_not_slow() -> None:
    """
    Five hundred tasks explain more milliseconds than one.
    """
    bookmarks, tasks = Bookmarks(), [a_running_task() for _ in range(500)]

    bookmarks.claimed(FRONT, tasks, 0.014, 1.0)
    bookmarks.claimed(FRONT, tasks, 0.014, 2.0)

    assert ((), None) == (bookmarks.after(2.0), bookmarks.front_at)


def test_promoting_does_not_make_the_front_slow() -> None:
    """
    A claim that also promotes may have spent its time on that.
    """
    bookmarks = Bookmarks()

    bookmarks.claimed(PROMOTING, [], 0.05, 1.0)
    bookmarks.claimed(PROMOTING, [], 0.05, 2.0)

    assert ((), None) == (bookmarks.after(2.0), bookmarks.front_at)


def test_after_slow_claims_the_next_starts_where_they_ended() -> None:
    """
    In each queue behind the last task that was claimed from it.
    """
    first, second, other = a_running_task(), a_running_task(), a_running_task(queue="other", priority=7)

    bookmarks = slowed(first, other, second)

    assert {position(second), position(other)} == set(bookmarks.after(10.5) or ())


def test_claims_onwards_move_the_bookmarks_on() -> None:
    """
    Those of queues that brought nothing stay.
    """
    first, other = a_running_task(), a_running_task(queue="other")
    bookmarks = slowed(first, other)
    later = a_running_task(scheduled_at=NOON + timedelta(seconds=1))

    bookmarks.claimed(ONWARDS, [later], 0.002, 10.1)
    bookmarks.claimed(ONWARDS, [], 0.002, 10.2)

    assert {position(later), position(other)} == set(bookmarks.after(10.3) or ())


def test_the_front_gets_a_twentieth_of_the_time() -> None:
    """
    After twenty times what a claim from it took, one starts there again; after two seconds at the latest.
    """
    bookmarks = slowed(a_running_task())
    due = bookmarks.front_at
    bookmarks.claimed(FRONT, [a_running_task()], 0.5, 12.0)

    assert (11.0, 14.0) == (due, bookmarks.front_at)
    assert [True, False] == [bool(bookmarks.after(now)) for now in (13.9, 14.0)]


def test_with_nothing_to_start_from_the_front_has_to_wait() -> None:
    """
    A slow front that brings nothing is not looked at again for every notification.
    """
    bookmarks = slowed()

    assert [None, ()] == [bookmarks.after(now) for now in (10.9, 11.0)]


def test_a_front_that_is_quick_again_ends_it() -> None:
    """
    All claims start there from then on.
    """
    bookmarks = slowed(a_running_task())

    bookmarks.claimed(FRONT, [], 0.004, 11.0)

    assert ((), None) == (bookmarks.after(11.1), bookmarks.front_at)


def test_claims_onwards_that_are_no_quicker_end_it() -> None:
    """
    Then the machine is slow, and not the front.
    """
    bookmarks = slowed(a_running_task())

    bookmarks.claimed(ONWARDS, [a_running_task()], 0.04, 10.1)

    assert ((), None) == (bookmarks.after(10.2), bookmarks.front_at)
