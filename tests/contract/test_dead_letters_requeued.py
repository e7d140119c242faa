"""Dead letters that come back: as they were, twice at most, one by one as in bulk."""

from datetime import timedelta

import pytest

from app.domain.dead_letters.errors import DeadLetterLoop
from app.domain.tasks.events import TaskRetried
from app.domain.tasks.status import TaskStatus
from tests.contract.letters import Letters
from tests.contract.subject import Queue, request
from tests.examples import EMAIL, NOON, REPORT


@pytest.fixture
def letters(queue: Queue) -> Letters:
    """The dead letters of the queue, of which there are none."""
    return Letters(queue)


def test_a_requeued_letter_is_the_same_task_as_if_it_were_new(letters: Letters) -> None:
    """
    Its id, its payload and its errors stay; it is due now, with its whole budget, and counts that it came back.
    """
    task = letters.die(expires_at=NOON + timedelta(hours=1), payload={"to": "x"}, max_attempts=2)
    letters.queue.clock.advance(7200)

    letters.requeue(task)

    found = letters.queue.find(task)
    assert (TaskStatus.PENDING, 0, 2, NOON + timedelta(hours=2)) == (
        found.status,
        found.attempts,
        found.max_attempts,
        found.scheduled_at,
    )
    assert (None, None, None, False, None) == (
        found.reason,
        found.expires_at,
        found.finished_at,
        found.is_dead_letter,
        found.worker_id,
    )
    assert ({"to": "x"}, 1, 1) == (found.payload, len(found.errors), found.requeues)
    [again] = letters.kill(1)
    assert (task.id, 1, task.lease_seq + 1) == (again.id, again.attempts, again.lease_seq)


def test_bulk_puts_back_just_what_one_by_one_does(letters: Letters) -> None:
    """
    The two ways leave tasks that are alike in everything.
    """
    expires_at = NOON + timedelta(hours=1)
    one, many = letters.die_many(
        2, max_attempts=2, priority=3, tags=["a"], correlation_id="c", expires_at=expires_at, filed_under="post"
    )

    letters.requeue(one)
    done = letters.requeue_all(type="email:*")

    one, many = letters.queue.find(one), letters.queue.find(many)
    names = [name for name in type(one).__slots__ if name not in ("id", "errors")]
    assert (1, 0, None) == (done.done, done.skipped, done.task_id)
    assert [getattr(one, name) for name in names] == [getattr(many, name) for name in names]
    assert letters.queue.uow.run(lambda tx: tx.tasks.next_due_in(request())) == 0


def test_counts_follow_what_is_requeued_and_discarded(letters: Letters) -> None:
    """
    What leaves the shelf leaves the statistics of what has ended, too.
    """
    died = letters.die_many(5)
    expired = letters.queue.enqueue(EMAIL, ttl=1)
    letters.queue.clock.advance(2)
    letters.queue.expire()
    before = letters.queue.stats()

    letters.requeue(died[0])
    letters.discard(died[1])
    letters.requeue_all(ids=[died[2].id, expired.id])
    letters.discard_all(ids=[died[3].id])

    after = letters.queue.stats()
    assert (5, 1, 0) == (before.failed, before.cancelled, before.pending)
    assert (1, 0, 3, 4) == (after.failed, after.cancelled, after.pending, after.total)
    assert letters.queue.find(expired).reason is None


def test_workers_hear_of_what_is_requeued(letters: Letters) -> None:
    """
    As of any task that an operator makes due again.
    """
    one, many = letters.die_many(2)
    letters.queue.events.clear()

    letters.requeue(one)
    letters.requeue_all()

    told = [event for event in letters.queue.events if isinstance(event, TaskRetried)]
    assert [(one.id, True, 1), (many.id, True, 1)] == [
        (event.task.id, event.manual, event.task.requeues) for event in told
    ]


def test_the_third_round_is_stopped(letters: Letters) -> None:
    """
    The refusal says which, how often, and what to do; nothing changes.
    """
    task = letters.die()
    letters.die_again(task, times=2)

    with pytest.raises(DeadLetterLoop, match=r"requeued 2 times already.*--force") as refused:
        letters.requeue(task)

    assert (task.id, 2) == (refused.value.task_id, refused.value.requeues)
    assert [task.id] == letters.ids()


def test_whoever_insists_gets_a_third_round(letters: Letters) -> None:
    """
    With force, by id and in bulk; each is one more.
    """
    one, many = letters.die(), letters.die(REPORT)
    for task in (one, many):
        letters.die_again(task, times=2)

    letters.requeue(one, force=True)
    done = letters.requeue_all(force=True)

    assert (1, 0) == (done.done, done.skipped)
    assert [3, 3] == [letters.queue.find(task).requeues for task in (one, many)]


def test_bulk_leaves_what_goes_round_in_circles_and_says_so(letters: Letters) -> None:
    """
    The others are put back; a preview had said it before.
    """
    letters.die_again(looping := letters.die(), times=2)
    other = letters.die()

    previewed = letters.requeue_all(preview=True)
    done = letters.requeue_all()

    assert (0, 1, 2, None) == (previewed.done, previewed.skipped, previewed.summary.total, previewed.action)
    assert (1, 1) == (done.done, done.skipped)
    assert ([looping.id], TaskStatus.PENDING) == (letters.ids(), letters.queue.find(other).status)


def test_a_preview_changes_nothing(letters: Letters) -> None:
    """
    Not even the record of who did what.
    """
    letters.die_many(2)

    previews = letters.requeue_all(preview=True), letters.discard_all(preview=True)

    assert [2, 2] == [one.summary.total for one in previews]
    assert (2, []) == (letters.count().total, letters.actions())
