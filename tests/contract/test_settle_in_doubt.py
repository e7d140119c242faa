"""Settling in doubt: an attempt whose completion may have been committed elsewhere, of which nobody has heard."""

from datetime import timedelta

import pytest

from app.domain.tasks.outcomes import Failed, RetryIn
from app.domain.tasks.repository import Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import SettleInDoubt
from tests.contract.subject import Queue, completed
from tests.examples import a_failure


def settle(queue: Queue, task: WorkerTask, *, knows: bool = True, last: bool = False) -> bool:
    """Whether the attempt of *task*, which may have completed, had its lease; it *knows* the completion, or not."""
    outcome = Failed(a_failure()) if last else RetryIn(a_failure(), 0)
    return queue.uow.run(SettleInDoubt(), Settlement(task, outcome), completed("done") if knows else None)


def claimed(queue: Queue) -> WorkerTask:
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.events.clear()
    return task


def test_one_that_has_not_completed_ends_as_it_is_said_to(queue: Queue) -> None:
    """The commit never happened, and never will."""
    task = claimed(queue)

    assert settle(queue, task)

    assert (TaskStatus.PENDING, ["failed", "retried"]) == (queue.find(task).status, queue.told)


def test_one_that_has_completed_stays_so_and_is_told_of(queue: Queue) -> None:
    """Nobody else has told it, where the answer to the commit got lost."""
    task = claimed(queue)
    queue.complete(task, "done")
    queue.events.clear()

    assert settle(queue, task)

    found = queue.find(task)
    assert (TaskStatus.COMPLETED, "done", []) == (found.status, found.result, found.errors)
    assert ["completed"] == queue.told


def test_one_that_has_completed_is_not_told_of_by_those_who_do_not_know_its_result(queue: Queue) -> None:
    """Whoever has committed it is still there, and tells."""
    task = claimed(queue)
    queue.complete(task, "done")
    queue.events.clear()

    assert settle(queue, task, knows=False)

    assert (TaskStatus.COMPLETED, []) == (queue.find(task).status, queue.told)


@pytest.mark.parametrize(
    ("last", "status", "told"),
    [(False, TaskStatus.PENDING, ["failed", "retried"]), (True, TaskStatus.FAILED, ["failed", "dead_lettered"])],
)
def test_an_answer_to_this_that_is_lost_in_its_turn_is_made_up_for(
    queue: Queue, last: bool, status: TaskStatus, told: list[str]
) -> None:
    """Asked again, it finds what it has stored itself, and does not take it for a completion."""
    task = claimed(queue)
    settle(queue, task, last=last)
    queue.events.clear()

    assert settle(queue, task, last=last)

    assert (status, 1, told) == (queue.find(task).status, len(queue.find(task).errors), queue.told)


def test_one_that_has_lost_its_lease_is_refused_and_told_so(queue: Queue) -> None:
    """By a claim since, and when the task is not there at all any more."""
    task = claimed(queue)
    queue.fail_and_retry(task)
    queue.claim_one()
    queue.events.clear()

    assert not settle(queue, task)
    assert (TaskStatus.RUNNING, ["lease_lost"]) == (queue.find(task).status, queue.told)

    other = claimed(queue)
    queue.complete(other)
    queue.clock.advance(10)
    queue.cleanup(timedelta(seconds=1))
    queue.events.clear()

    assert not settle(queue, other)
    assert ["lease_lost"] == queue.told
