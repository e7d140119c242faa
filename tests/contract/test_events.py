"""Events: what listeners are told, in which order, and only of what was committed."""

from dataclasses import fields
from typing import Any

import pytest

from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.errors import IllegalTransition
from app.domain.tasks.events import (
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDeadLettered,
    TaskEvent,
    TaskFailed,
    TaskLeaseLost,
    TaskProgressed,
    TaskRecovered,
    TaskRetried,
    TaskStarted,
)
from app.domain.tasks.outcomes import GivenUp, Released, Snoozed
from app.domain.tasks.status import TaskStatus
from app.usecases.transaction import Transaction
from tests.contract.subject import Queue
from tests.examples import a_failure, new_task


def facts(event: TaskEvent) -> tuple[Any, ...]:
    """The event's class, its task's status, and what it says beside the task."""
    said = (getattr(event, one.name) for one in fields(event) if one.name != "task")
    return type(event), str(event.task.status), *said


def test_the_story_of_a_task_that_completes(queue: Queue) -> None:
    """
    Created, started, progressed, completed: each with the task as it was at that moment.
    """
    queue.register()
    task = queue.enqueue()
    claimed = queue.claim_one()
    queue.clock.advance(1.5)
    queue.report(claimed, 50, "half")
    queue.clock.advance(1)

    queue.complete(claimed, {"sent": True})

    assert [
        (TaskCreated, "pending"),
        (TaskStarted, "running"),
        (TaskProgressed, "running", 50, "half"),
        (TaskCompleted, "completed", {"sent": True}, 2.5),
    ] == [facts(event) for event in queue.events]
    assert {task.id} == {event.task.id for event in queue.events}
    assert [0, 1, 1, 1] == [event.task.attempts for event in queue.events]


def test_the_story_of_a_task_that_fails_twice(queue: Queue) -> None:
    """
    The first failure is one with a retry, told as failed and then retried; the second is the end.
    """
    queue.register()
    queue.enqueue()
    queue.fail_and_retry(queue.claim_one())

    queue.fail(queue.claim_one())

    assert [
        (TaskCreated, "pending"),
        (TaskStarted, "running"),
        (TaskFailed, "pending", "SMTPException: no such mailbox", True),
        (TaskRetried, "pending", False),
        (TaskStarted, "running"),
        (TaskFailed, "failed", "SMTPException: no such mailbox", False),
        (TaskDeadLettered, "failed", DeathReason.EXHAUSTED),
    ] == [facts(event) for event in queue.events]
    assert [0, 0, 1, 1, 1, 2, 2] == [len(event.task.errors) for event in queue.events]


def test_the_story_of_an_operator(queue: Queue) -> None:
    """
    A cancellation and a retry by hand are told as such.
    """
    queue.register()
    task = queue.enqueue()
    queue.cancel(task)
    queue.retry(task)

    queue.settle(queue.claim_one(), GivenUp("nobody needs it"))

    assert [
        (TaskCreated, "pending"),
        (TaskCancelled, "cancelled", None),
        (TaskRetried, "pending", True),
        (TaskStarted, "running"),
        (TaskCancelled, "cancelled", "nobody needs it"),
    ] == [facts(event) for event in queue.events]


def test_the_story_of_a_recovery(queue: Queue) -> None:
    """
    Recovered from whom, then the failed attempt that it is; the worker's late outcome is a lost lease.
    """
    queue.register("w1")
    queue.enqueue(max_attempts=2)
    first = queue.claim_one("w1")
    queue.lose("w1")
    queue.register("w2")
    queue.claim_one("w2")
    queue.lose("w2")

    queue.complete(first)

    lost = "WorkerLost: worker {} fell silent while running attempt {}: killed, frozen or cut off"
    assert [
        (TaskCreated, "pending"),
        (TaskStarted, "running"),
        (TaskRecovered, "pending", "w1"),
        (TaskFailed, "pending", lost.format("w1", 1), True),
        (TaskRetried, "pending", False),
        (TaskStarted, "running"),
        (TaskRecovered, "failed", "w2"),
        (TaskFailed, "failed", lost.format("w2", 2), False),
        (TaskDeadLettered, "failed", DeathReason.EXHAUSTED),
        (TaskLeaseLost, "running"),
    ] == [facts(event) for event in queue.events]
    assert (1, "w1") == (queue.events[-1].task.lease_seq, queue.events[-1].task.worker_id)


def test_a_snooze_and_a_release_are_nobodys_news(queue: Queue) -> None:
    """
    No attempt was made, so none is told of.
    """
    queue.register()
    queue.enqueue()
    queue.settle(queue.claim_one(), Snoozed(0))

    queue.settle(queue.claim_one(), Released())

    assert ["created", "started", "started"] == queue.told


def test_progress_of_a_lost_lease_is_nobodys_news(queue: Queue) -> None:
    """
    What was refused was not reported.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.complete(task)

    queue.report(task, 80)

    assert ["created", "started", "completed"] == queue.told


def test_an_adopted_claim_is_told_when_it_starts(queue: Queue) -> None:
    """
    The claim whose answer was lost was not told to this process's listeners; its adoption is.
    """
    queue.register()
    queue.enqueue()
    queue.publisher.deaf = True
    queue.claim_one()
    queue.publisher.deaf = False

    queue.adopt()

    assert ["created", "started"] == queue.told


def test_many_tasks_are_told_of_in_their_order(queue: Queue) -> None:
    """
    One event for each task of a batch, in the order of the batch.
    """
    queue.register()
    tasks = queue.enqueue_many([new_task(payload=number) for number in range(5)])
    queue.claim(limit=5)

    expected = [task.id for task in tasks]
    assert [*expected, *expected] == [event.task.id for event in queue.events]
    assert ["created"] * 5 + ["started"] * 5 == queue.told


def test_an_events_task_stays_as_it_was(queue: Queue) -> None:
    """
    Nothing that happens to the caller's task later reaches a listener's.
    """
    queue.register()
    task = queue.enqueue()

    task.claim("me", now=queue.clock.now())
    task.errors.append(a_failure().recorded(attempt=1, at=queue.clock.now()))

    [event] = queue.events
    assert (TaskStatus.PENDING, []) == (event.task.status, event.task.errors)


def test_listeners_are_told_after_the_commit(queue: Queue) -> None:
    """
    A listener that looks finds what it was told of, and may use the queue itself.
    """
    queue.register()
    seen = []

    def look(event: TaskEvent) -> None:
        seen.append(queue.find(event.task).status)
        if event.task.type == "email:send":
            queue.enqueue("follow:up")

    queue.publisher.look = look
    queue.enqueue()

    assert [TaskStatus.PENDING, TaskStatus.PENDING] == seen
    assert 2 == queue.stats().total


def test_nothing_is_told_of_what_was_undone(queue: Queue) -> None:
    """
    A transaction that fails after several verbs leaves neither tasks nor events.
    """
    queue.register()
    queue.enqueue()
    queue.events.clear()

    def fail(tx: Transaction) -> None:
        queue.enqueueing(tx, [new_task()])
        raise RuntimeError("at the end")

    with pytest.raises(RuntimeError):
        queue.uow.run(fail)

    assert ([], 1) == (queue.events, queue.stats().total)


def test_nothing_is_told_of_what_was_refused(queue: Queue) -> None:
    """
    An illegal verb has no event.
    """
    queue.register()
    queue.enqueue()
    queue.complete(task := queue.claim_one())
    queue.events.clear()

    with pytest.raises(IllegalTransition):
        queue.cancel(task)

    assert [] == queue.events
