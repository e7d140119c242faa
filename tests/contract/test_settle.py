"""Settle: what each outcome makes of a task, and who is refused."""

from datetime import timedelta

from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import MAX_ERRORS
from app.usecases.tasks.settle import SettleTasks
from tests.contract.subject import Queue, completed
from tests.examples import NOON, a_failure, new_task


def test_a_completed_task_holds_its_result(queue: Queue) -> None:
    """
    Completion ends the task with its result, its worker and the moment, and no error.
    """
    queue.register("w1")
    queue.enqueue()
    task = queue.claim_one("w1")
    queue.clock.advance(2.5)

    accepted = queue.complete(task, {"sent": [1, 2]})

    found = queue.find(task)
    assert accepted
    assert (TaskStatus.COMPLETED, {"sent": [1, 2]}, None) == (found.status, found.result, found.error)
    assert (NOON + timedelta(seconds=2.5), 2.5, "w1") == (found.finished_at, found.duration, found.worker_id)


def test_a_failed_task_remembers_why(queue: Queue) -> None:
    """
    A failure without another attempt ends the task with one line of error and one entry with the details.
    """
    queue.register("w1")
    queue.enqueue()
    task = queue.claim_one("w1")
    queue.clock.advance(1)

    queue.settle(task, Failed(a_failure("no such mailbox")))

    found = queue.find(task)
    assert (TaskStatus.FAILED, "SMTPException: no such mailbox") == (found.status, found.error)
    assert [a_failure().recorded(attempt=1, at=NOON + timedelta(seconds=1))] == found.errors
    assert (NOON + timedelta(seconds=1), "w1") == (found.finished_at, found.worker_id)


def test_a_retried_task_waits_its_delay(queue: Queue) -> None:
    """
    A failure with another attempt puts the task back, due after the delay and not before.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()

    queue.fail_and_retry(task, delay=30)
    queue.clock.advance(29)
    too_early = queue.claim()
    queue.clock.advance(1)
    again = queue.claim_one()

    assert [] == too_early
    assert (task.id, 2, 2, None) == (again.id, again.attempts, again.lease_seq, again.finished_at)
    assert ["SMTPException: no such mailbox"] == [again.error]
    assert [1] == [error.attempt for error in again.errors]


def test_a_retried_task_belongs_to_nobody(queue: Queue) -> None:
    """
    While it waits, it has no worker and no end.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()

    queue.fail_and_retry(task, delay=30)

    found = queue.find(task)
    assert (TaskStatus.PENDING, None, None) == (found.status, found.worker_id, found.finished_at)
    assert NOON + timedelta(seconds=30) == found.scheduled_at


def test_an_error_is_forgotten_when_the_task_completes_at_last(queue: Queue) -> None:
    """
    The line of error goes, the history of failed attempts stays.
    """
    queue.register()
    queue.enqueue()
    queue.fail_and_retry(queue.claim_one())

    queue.complete(task := queue.claim_one())

    found = queue.find(task)
    assert (TaskStatus.COMPLETED, None, 1) == (found.status, found.error, len(found.errors))


def test_a_task_given_up_by_its_handler_is_cancelled_with_the_reason(queue: Queue) -> None:
    """
    Giving up is not failing: there is no entry of error.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()

    queue.settle(task, GivenUp("the order was deleted"))

    found = queue.find(task)
    assert (TaskStatus.CANCELLED, "the order was deleted", []) == (found.status, found.error, found.errors)
    assert NOON == found.finished_at


def test_a_snoozed_task_has_its_attempt_back(queue: Queue) -> None:
    """
    It comes back after the delay, and the attempt that slept is not counted.
    """
    queue.register()
    queue.enqueue(max_attempts=1)
    task = queue.claim_one()

    queue.settle(task, Snoozed(60))
    asleep = queue.find(task)
    queue.clock.advance(60)
    queue.beat()
    again = queue.claim_one()

    assert (TaskStatus.PENDING, 0, None, []) == (
        asleep.status,
        asleep.attempts,
        asleep.worker_id,
        asleep.errors,
    )
    assert NOON + timedelta(seconds=60) == asleep.scheduled_at
    assert (1, 2) == (again.attempts, again.lease_seq)


def test_a_released_task_is_due_at_once_with_its_attempt_back(queue: Queue) -> None:
    """
    It returns to the place in the queue that it had.
    """
    queue.register("w1")
    queue.register("w2")
    first, _ = queue.enqueue_many([new_task(), new_task()])
    task = queue.claim_one("w1")
    queue.clock.advance(10)

    queue.settle(task, Released())
    again = queue.claim_one("w2")

    assert (first.id, 1, 2, "w2") == (again.id, again.attempts, again.lease_seq, again.worker_id)
    assert NOON == again.scheduled_at


def test_the_budget_is_counted_over_snoozes_and_releases(queue: Queue) -> None:
    """
    Only attempts that failed bring a task nearer to its last one.
    """
    queue.register()
    queue.enqueue(max_attempts=2)
    story: list[tuple[int, bool]] = []
    outcomes: list[Outcome] = [Snoozed(0), Released(), RetryIn(a_failure(), 0), Released(), Failed(a_failure())]

    for outcome in outcomes:
        task = queue.claim_one()
        story.append((task.attempts, task.is_last_attempt))
        queue.settle(task, outcome)

    assert [(1, False), (1, False), (1, False), (2, True), (2, True)] == story
    assert (TaskStatus.FAILED, 2, 5) == ((found := queue.find(task)).status, found.attempts, found.lease_seq)


def test_the_latest_hundred_errors_are_kept(queue: Queue) -> None:
    """
    The oldest entry makes room for the newest.
    """
    queue.register()
    queue.enqueue(max_attempts=1000)

    for number in range(MAX_ERRORS + 3):
        queue.settle(queue.claim_one(), RetryIn(a_failure(f"failure {number}"), 0))

    [found] = queue.newest()
    assert MAX_ERRORS == len(found.errors)
    assert ("failure 3", 4) == (found.errors[0].message, found.errors[0].attempt)
    assert ("failure 102", 103) == (found.errors[-1].message, found.errors[-1].attempt)


def test_a_batch_settles_each_task_by_its_own_outcome(queue: Queue) -> None:
    """
    One refused settlement costs the others of its batch nothing.
    """
    queue.register()
    queue.enqueue_many([new_task() for _ in range(7)])
    tasks = queue.claim(limit=7)
    lost = tasks[6].snapshot()
    lost.lease_seq += 1
    outcomes: list[Outcome] = [
        completed("done"),
        Failed(a_failure()),
        RetryIn(a_failure(), 10),
        GivenUp("why"),
        Snoozed(20),
        Released(),
    ]
    ended = [Settlement(task, outcome) for task, outcome in zip(tasks, outcomes, strict=False)]

    refused = queue.uow.run(SettleTasks(), [*ended, Settlement(lost, completed())])

    assert {lost.id} == refused
    statuses = [str(queue.find(task).status) for task in tasks]
    assert ["completed", "failed", "pending", "cancelled", "pending", "pending", "running"] == statuses
    assert [0, 0, 0, 0, 20, 0, 0] == [
        (queue.find(task).scheduled_at - NOON).total_seconds() if index != 2 else 0 for index, task in enumerate(tasks)
    ]


def test_an_empty_batch_is_nothing(queue: Queue) -> None:
    """
    Settling and reporting nothing is allowed and does nothing.
    """
    refused = queue.uow.run(SettleTasks(), [])

    assert (frozenset(), frozenset(), []) == (refused, queue.progress([]), queue.events)


def test_a_task_that_was_never_claimed_cannot_be_settled(queue: Queue) -> None:
    """
    The fence of a task nobody runs fits nobody.
    """
    queue.register()
    task = queue.enqueue()

    accepted = queue.complete(task)

    assert (False, TaskStatus.PENDING) == (accepted, queue.find(task).status)


def test_failures_of_any_text_are_stored(queue: Queue) -> None:
    """
    What a failure says is kept as it is: line breaks, quotes, brackets, emoji, the replaced NUL.
    """
    queue.register()
    queue.enqueue()
    message = 'a\nb\t"{[,}]" \\ \\u0000 \N{REPLACEMENT CHARACTER} 🐘 NULL'

    queue.settle(queue.claim_one(), Failed(a_failure(message)))

    [found] = queue.newest()
    assert (message, f"SMTPException: {message}") == (found.errors[0].message, found.error)


def test_a_deaf_queue_settles_all_the_same(queue: Queue) -> None:
    """
    Where nobody listens, nothing is told and everything is stored.
    """
    queue.publisher.deaf = True
    queue.register()
    queue.enqueue()

    queue.settle(task := queue.claim_one(), Completed(JsonText.of(1, field="result")))

    assert ([], TaskStatus.COMPLETED) == (queue.events, queue.find(task).status)
