"""Checkpoints: what an attempt saves for the next one, behind the fence of its lease."""

from typing import Any

import pytest

from app.domain.json import JsonText
from app.domain.tasks.outcomes import Failed, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Progress, Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import SettleTasks
from tests.contract.subject import Queue, completed
from tests.examples import a_failure

SAVED = {"done": [1, 2], "at": "ünï 'quoted' \\ \"", "none": None}


def settle(queue: Queue, task: WorkerTask, outcome: Outcome, value: Any = None) -> bool:
    saved = None if value is None else checkpoint(value)
    return queue.uow.run(SettleTasks(), [Settlement(task, outcome, saved)]) == frozenset()


def checkpoint(value: Any) -> JsonText:
    return JsonText.of(value, field="checkpoint")


@pytest.mark.parametrize("outcome", [RetryIn(a_failure(), 0), Snoozed(0), Released()])
def test_the_next_attempt_finds_what_the_last_one_saved(queue: Queue, outcome: Outcome) -> None:
    """
    However it was put back; and an attempt that saves nothing leaves it there.
    """
    queue.register()
    task = queue.enqueue(max_attempts=5)
    first = queue.claim_one()

    assert settle(queue, first, outcome, SAVED)
    second = queue.claim_one()
    settle(queue, second, outcome)
    third = queue.claim_one()

    assert [None, SAVED, SAVED] == [first.checkpoint, second.checkpoint, third.checkpoint]
    assert SAVED == queue.find(task).checkpoint


def test_a_task_that_failed_keeps_its_checkpoint_and_one_that_completed_does_not(queue: Queue) -> None:
    """
    A retry by hand goes on from it; a completed task has nothing to go on with.
    """
    queue.register()
    task = queue.enqueue()
    settle(queue, queue.claim_one(), Failed(a_failure()), SAVED)
    failed = queue.find(task)

    queue.retry(task, reset_attempts=True)
    again = queue.claim_one()
    settle(queue, again, completed(1), {"left": "over"})

    assert (SAVED, SAVED, None) == (failed.checkpoint, again.checkpoint, queue.find(task).checkpoint)


def test_a_checkpoint_is_stored_with_progress_or_without(queue: Queue) -> None:
    """
    Neither touches what the other has stored.
    """
    queue.register()
    task = queue.enqueue()
    claimed = queue.claim_one()

    def report(percent: float | None, message: str | None = None, value: Any = None) -> tuple[Any, ...]:
        saved = None if value is None else checkpoint(value)
        queue.progress([Progress(task_id=task.id, lease_seq=1, percent=percent, message=message, checkpoint=saved)])
        found = queue.find(task)
        return found.progress, found.progress_message, found.checkpoint

    assert (None, None, 1) == report(None, value=1)
    assert (40, "a", 1) == report(40, "a")
    assert (40, "a", 2) == report(None, value=2)
    assert (50, None, [3]) == report(50, value=[3])
    assert queue.fail_and_retry(claimed)
    assert [3] == queue.claim_one().checkpoint


def test_a_worker_that_lost_its_lease_saves_nothing(queue: Queue) -> None:
    """
    Neither with progress nor with the end of its attempt; what it had saved before, its successor has.
    """
    queue.register()
    queue.register("w2")
    task = queue.enqueue()
    lost = queue.claim_one()
    before = Progress(task_id=task.id, lease_seq=lost.lease_seq, percent=None, checkpoint=checkpoint("before"))
    queue.progress([before])
    queue.lose()
    successor = queue.claim_one("w2")

    refused = queue.progress(
        [Progress(task_id=task.id, lease_seq=lost.lease_seq, percent=None, checkpoint=checkpoint("late"))]
    )

    assert (frozenset(), False) == (refused, settle(queue, lost, RetryIn(a_failure(), 0), "too late"))
    assert "before" == successor.checkpoint == queue.find(task).checkpoint


def test_saving_is_not_told_as_progress(queue: Queue) -> None:
    """
    Listeners hear of percentages alone.
    """
    queue.register()
    queue.enqueue()
    claimed = queue.claim_one()
    told = len(queue.told)

    queue.save(claimed, SAVED)

    assert [] == queue.told[told:]
    assert SAVED == queue.find(claimed).checkpoint


def test_a_batch_of_settlements_has_each_its_own(queue: Queue) -> None:
    """
    Those that save and those that do not, in one statement.
    """
    queue.register()
    tasks = [queue.enqueue() for _ in range(4)]
    claimed = queue.claim(limit=4)
    ended = [
        Settlement(task, RetryIn(a_failure(), 0), None if number % 2 else checkpoint(number))
        for number, task in enumerate(claimed)
    ]

    queue.uow.run(SettleTasks(), ended)

    assert {0, 2, None} == {queue.find(task).checkpoint for task in tasks}
