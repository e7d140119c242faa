"""Cleanup: what finished long ago is removed, and nothing else."""

from datetime import timedelta

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.errors import TaskNotFound
from tests.contract.subject import Queue
from tests.examples import new_task


def test_tasks_that_finished_long_ago_are_removed(queue: Queue) -> None:
    """
    Completed, failed and cancelled ones; those that wait or run stay, however old they are.
    """
    queue.register()
    queue.enqueue_many([new_task() for _ in range(5)])
    completed, failed, cancelled, waiting = queue.claim(limit=4)
    queue.complete(completed)
    queue.fail(failed)
    queue.fail_and_retry(cancelled)
    queue.cancel(cancelled)
    queue.fail_and_retry(waiting, 10_000_000)
    queue.claim()
    queue.clock.advance(timedelta(days=8).total_seconds())

    removed = queue.cleanup(timedelta(days=7))

    assert (3, 2) == (removed, queue.stats().total)
    assert (1, 1) == (queue.stats().pending, queue.stats().running)
    with pytest.raises(TaskNotFound):
        queue.find(completed)


def test_age_is_counted_from_the_end(queue: Queue) -> None:
    """
    A task that was enqueued a year ago and finished an hour ago is an hour old.
    """
    queue.enqueue()
    queue.clock.advance(365 * 86_400)
    queue.register()
    queue.complete(queue.claim_one())
    queue.clock.advance(3_600)

    removed = [queue.cleanup(3_601), queue.cleanup(3_600), queue.cleanup(3_599.999999)]

    assert [0, 0, 1] == removed


def test_a_task_that_was_retried_is_not_removed(queue: Queue) -> None:
    """
    It has no end any more.
    """
    queue.register()
    queue.enqueue()
    queue.fail(task := queue.claim_one())
    queue.clock.advance(100)
    queue.retry(task)

    removed = queue.cleanup(10)

    assert (0, task.id) == (removed, queue.find(task).id)


def test_a_removed_task_is_settled_by_nobody(queue: Queue) -> None:
    """
    A late outcome finds nothing, and is refused like that of a lost lease.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.complete(task)
    queue.clock.advance(100)
    queue.cleanup(10)

    accepted = queue.complete(task)

    assert (False, 0) == (accepted, queue.stats().total)


@pytest.mark.parametrize("older_than", [-1, float("nan"), float("inf"), "7d", timedelta(days=-1), None, True])
def test_an_age_that_is_none_is_refused(queue: Queue, older_than: float) -> None:
    """
    Nothing is removed for an age that cannot be meant.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.cleanup(older_than)

    assert "older_than" == refused.value.field
