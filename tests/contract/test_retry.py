"""Retry: a failed or cancelled task made due again by hand."""

from datetime import timedelta

import pytest

from app.domain.tasks.errors import IllegalTransition, TaskNotFound
from app.domain.tasks.status import TaskStatus
from tests.contract.subject import Queue
from tests.examples import NOON, a_task


def test_a_failed_task_is_due_again(queue: Queue) -> None:
    """
    It is pending from this moment, without an end and without a worker, its errors kept.
    """
    queue.register()
    queue.enqueue()
    queue.fail(task := queue.claim_one())
    queue.clock.advance(30)

    retried = queue.retry(task)

    found = queue.find(task)
    for one in (retried, found):
        assert (TaskStatus.PENDING, None, None, 1) == (
            one.status,
            one.finished_at,
            one.worker_id,
            len(one.errors),
        )
    assert NOON + timedelta(seconds=30) == found.scheduled_at
    assert task.id == queue.claim_one().id


def test_a_retry_grants_one_more_attempt(queue: Queue) -> None:
    """
    A task that spent its budget gets one attempt, and ends failed when that fails too.
    """
    queue.register()
    queue.enqueue(max_attempts=1)
    queue.fail(task := queue.claim_one())

    queue.retry(task)
    again = queue.claim_one()

    assert (2, 2, True) == (again.attempts, again.max_attempts, again.is_last_attempt)


def test_a_retry_takes_no_attempts_away(queue: Queue) -> None:
    """
    A task that failed for good early keeps what was left of its budget.
    """
    queue.register()
    queue.enqueue(max_attempts=5)
    queue.fail(task := queue.claim_one())

    queue.retry(task)

    assert (1, 5) == ((found := queue.find(task)).attempts, found.max_attempts)


def test_a_retry_with_reset_starts_the_count_again(queue: Queue) -> None:
    """
    The budget is whole again and what was remembered stays.
    """
    queue.register()
    queue.enqueue(max_attempts=2)
    queue.fail_and_retry(queue.claim_one())
    queue.fail(task := queue.claim_one())

    queue.retry(task, reset_attempts=True)
    again = queue.claim_one()

    assert (1, 2, 2, 3) == (again.attempts, again.max_attempts, len(again.errors), again.lease_seq)


def test_a_cancelled_task_can_be_retried(queue: Queue) -> None:
    """
    A cancellation can be taken back.
    """
    queue.register()
    task = queue.enqueue()
    queue.cancel(task)

    queue.retry(task)

    claimed = queue.claim_one()
    assert (task.id, 1, 3) == (claimed.id, claimed.attempts, claimed.max_attempts)


def test_a_retried_task_that_was_scheduled_for_later_is_due_now(queue: Queue) -> None:
    """
    Whoever retries wants it to run.
    """
    queue.register()
    task = queue.enqueue(delay=1000)
    queue.cancel(task)

    queue.retry(task)

    assert task.id == queue.claim_one().id


def test_retry_is_refused_in_every_other_state(queue: Queue) -> None:
    """
    A pending, a running and a completed task are left alone, and the refusal names state and remedy.
    """
    queue.register()
    queue.enqueue()
    queue.complete(completed := queue.claim_one())
    queue.enqueue()
    running = queue.claim_one()
    pending = queue.enqueue()

    for task, status in (
        (pending, TaskStatus.PENDING),
        (running, TaskStatus.RUNNING),
        (completed, TaskStatus.COMPLETED),
    ):
        with pytest.raises(IllegalTransition, match="must be failed or cancelled") as refused:
            queue.retry(task, reset_attempts=True)
        assert (task.id, "retry", status, (TaskStatus.FAILED, TaskStatus.CANCELLED)) == (
            refused.value.task_id,
            refused.value.verb,
            refused.value.status,
            refused.value.allowed,
        )
        assert status is queue.find(task).status


def test_a_task_that_does_not_exist_cannot_be_retried(queue: Queue) -> None:
    """
    The error names the id that was looked for.
    """
    unknown = a_task()

    with pytest.raises(TaskNotFound) as refused:
        queue.retry(unknown)

    assert unknown.id == refused.value.task_id
