"""Bookmarks: from where a worker claims, when what lies at the front makes claims slow."""

from datetime import timedelta

from app.domain.tasks.repository import Position
from app.domain.tasks.task import WorkerTask
from app.worker.bookmarks import Bookmarks
from tests.examples import NOON, a_running_task


def position(task: WorkerTask) -> Position:
    return Position(task.queue, task.priority, task.scheduled_at, task.id)


def slowed(*claimed: WorkerTask) -> Bookmarks:
    """Bookmarks that have met a front of 25 ms at 10 s, in a claim that brought *claimed*."""
    bookmarks = Bookmarks()
    bookmarks.timed(0.025, 9.0)
    bookmarks.timed(0.025, 10.0)
    bookmarks.claimed(claimed)
    return bookmarks


def test_from_a_quick_front_every_claim_starts() -> None:
    """
    Nothing is remembered of what was claimed, and once a second is it timed.
    """
    bookmarks = Bookmarks()

    bookmarks.timed(0.001, 10.0)
    bookmarks.claimed([a_running_task()])

    assert ((), 11.0) == (bookmarks.after(10.5), bookmarks.front_at)


def test_from_a_slow_front_claims_go_on_where_the_last_one_ended() -> None:
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

    bookmarks.claimed([later])
    bookmarks.claimed([])

    assert {position(later), position(other)} == set(bookmarks.after(10.5) or ())


def test_a_slow_front_gets_a_fortieth_of_the_time() -> None:
    """
    One starts there again after forty times what a search takes, and within five seconds.
    """
    bookmarks = slowed(a_running_task())
    due = bookmarks.front_at
    bookmarks.timed(0.5, 12.0)

    assert (11.0, 17.0) == (due, bookmarks.front_at)
    assert [True, False] == [bool(bookmarks.after(now)) for now in (16.9, 17.0)]


def test_with_nothing_to_go_on_from_claims_wait_for_the_front() -> None:
    """
    A slow front that brings nothing is not searched again for every notification.
    """
    bookmarks = slowed()

    assert [None, ()] == [bookmarks.after(now) for now in (10.9, 11.0)]


def test_a_front_that_is_quick_again_ends_it() -> None:
    """
    All claims start there from then on, and the bookmarks are forgotten.
    """
    bookmarks = slowed(a_running_task())

    bookmarks.timed(0.001, 11.0)
    quick = bookmarks.after(11.1)
    bookmarks.timed(0.025, 12.0)
    bookmarks.timed(0.025, 13.0)

    assert [(), None] == [quick, bookmarks.after(13.1)]


def test_one_slow_search_is_no_evidence() -> None:
    """
    Nor are two with a quick one in between: whoever waits for the front to be searched again would wait in vain.
    """
    bookmarks = Bookmarks()

    for took in (0.025, 0.001, 0.2):
        bookmarks.timed(took, 10.0)
        bookmarks.claimed([a_running_task()])

    assert () == bookmarks.after(10.1)
