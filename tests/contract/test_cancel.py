"""Cancel: at once before a task runs, and refused with the reason when it has ended."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.errors import IllegalTransition, TaskNotFound
from app.domain.tasks.outcomes import GivenUp
from app.domain.tasks.status import TaskStatus
from app.usecases.tasks.cancel import CancelTask
from tests.contract.subject import Queue
from tests.examples import NOON, a_task


def test_a_cancelled_task_is_not_claimed(queue: Queue) -> None:
    """
    Cancelling ends a pending task, at this moment and for good.
    """
    queue.register()
    task = queue.enqueue()
    queue.clock.advance(3)

    cancelled = queue.cancel(task)

    found = queue.find(task)
    assert (TaskStatus.CANCELLED, TaskStatus.CANCELLED) == (cancelled.status, found.status)
    assert NOON + timedelta(seconds=3) == cancelled.finished_at == found.finished_at
    assert [] == queue.claim()


def test_a_scheduled_task_can_be_cancelled(queue: Queue) -> None:
    """
    A task that is not due yet is pending like another.
    """
    queue.register()
    task = queue.enqueue(delay=100)

    queue.cancel(task)
    queue.clock.advance(100)

    assert (None, []) == (queue.next_due_in(), queue.claim())


def test_a_task_that_waits_for_its_next_attempt_can_be_cancelled(queue: Queue) -> None:
    """
    Its failures so far stay on record.
    """
    queue.register()
    queue.enqueue()
    queue.fail_and_retry(task := queue.claim_one(), 100)

    queue.cancel(task)

    found = queue.find(task)
    assert (TaskStatus.CANCELLED, 1, 1) == (found.status, len(found.errors), found.attempts)


def test_cancelling_twice_changes_nothing(queue: Queue) -> None:
    """
    The second call returns the task as the first one left it, and tells nobody.
    """
    task = queue.enqueue()
    queue.cancel(task)
    queue.clock.advance(10)

    again = queue.cancel(task)

    assert (TaskStatus.CANCELLED, NOON) == (again.status, again.finished_at)
    assert ["created", "cancelled"] == queue.told


def test_a_finished_task_is_not_cancelled(queue: Queue) -> None:
    """
    What is completed or failed stays so.
    """
    queue.register()
    queue.enqueue()
    queue.enqueue()
    queue.complete(completed := queue.claim_one())
    queue.fail(failed := queue.claim_one())

    states = []
    for task in (completed, failed):
        with pytest.raises(IllegalTransition) as refused:
            queue.cancel(task)
        states.append(refused.value.status)

    assert [TaskStatus.COMPLETED, TaskStatus.FAILED] == states
    assert (1, 1) == (queue.stats().completed, queue.stats().failed)


def test_a_task_its_handler_gave_up_counts_as_cancelled(queue: Queue) -> None:
    """
    An operator who cancels it too finds it done, with the handler's reason.
    """
    queue.register()
    queue.enqueue()
    queue.settle(task := queue.claim_one(), GivenUp("no longer wanted"))

    found = queue.cancel(task)

    assert (TaskStatus.CANCELLED, "no longer wanted") == (found.status, found.error)


def test_a_task_that_does_not_exist_cannot_be_cancelled(queue: Queue) -> None:
    """
    The error names the id that was looked for.
    """
    unknown = a_task()

    with pytest.raises(TaskNotFound) as refused:
        queue.cancel(unknown)

    assert unknown.id == refused.value.task_id


def test_an_id_may_be_given_as_text_and_must_be_one(queue: Queue) -> None:
    """
    Text of a UUID is an id; anything else is refused by name.
    """
    task = queue.enqueue()

    cancelled = queue.uow.run(CancelTask(), str(task.id))  # type: ignore[arg-type]  # as a command line would
    with pytest.raises(InvalidInput) as refused:
        queue.uow.run(CancelTask(), "nonsense")  # type: ignore[arg-type]

    assert (UUID(str(task.id)), "task_id", "nonsense") == (
        cancelled.id,
        refused.value.field,
        refused.value.value,
    )
