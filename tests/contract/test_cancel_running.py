"""Cancel of what runs: a mark that no settlement gets past, and the end of the task once its attempt has ended."""

from datetime import timedelta

import pytest

from app.domain.jobs.unique import Unique
from app.domain.tasks.errors import IllegalTransition
from app.domain.tasks.outcomes import Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Settlement
from app.domain.tasks.status import TaskStatus
from app.usecases.tasks.settle import SettleTasks
from tests.contract.subject import Queue, completed
from tests.examples import EMAIL, NOON, a_failure, new_task

OUTCOMES: list[Outcome] = [
    completed("done"),
    Failed(a_failure()),
    RetryIn(a_failure(), 5),
    GivenUp("its handler does not want it"),
    Snoozed(5),
    Released(),
]


def test_a_running_task_runs_on_until_its_attempt_has_ended(queue: Queue) -> None:
    """
    It carries the mark and the reason from now on; nobody else may take it, and asking again changes nothing.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.clock.advance(3)

    marked = queue.cancel(task, reason="ordered twice")
    queue.clock.advance(3)
    again = queue.cancel(task, reason="for another reason")

    found = queue.find(task)
    at = NOON + timedelta(seconds=3)
    assert [(TaskStatus.RUNNING, at, "ordered twice", None)] * 3 == [
        (one.status, one.cancel_requested_at, one.error, one.finished_at) for one in (marked, again, found)
    ]
    assert [] == queue.claim()
    assert ["created", "started"] == queue.told


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_whatever_comes_of_its_attempt_a_cancelled_task_ends_cancelled(queue: Queue, outcome: Outcome) -> None:
    """
    Its worker still has its lease, so the end is stored and told, as what it is; what failed stays on record.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.cancel(task, reason="ordered twice")
    queue.clock.advance(3)

    accepted = queue.settle(task, outcome)

    found = queue.find(task)
    failed = isinstance(outcome, Failed | RetryIn)
    assert (True, TaskStatus.CANCELLED, "ordered twice", NOON + timedelta(seconds=3), None, int(failed)) == (
        accepted,
        found.status,
        found.error,
        found.finished_at,
        found.result,
        len(found.errors),
    )
    assert ["created", "started", "cancelled"] == queue.told
    assert (1, 1) == (queue.stats().cancelled, queue.stats().total)
    queue.clock.advance(60)
    assert [] == queue.claim()


def test_of_a_batch_only_the_cancelled_end_so(queue: Queue) -> None:
    """
    The others complete, fail and come back as they would.
    """
    queue.register()
    queue.enqueue_many([new_task()] * 6)
    first, second, third, *marked = queue.claim(limit=6)
    for task in marked:
        queue.cancel(task)
    outcomes: list[Outcome] = [completed("done"), Failed(a_failure()), Released()]

    settled = queue.uow.run(
        SettleTasks(),
        [
            Settlement(task, outcome)
            for task, outcome in zip([first, second, third, *marked], outcomes * 2, strict=True)
        ],
    )

    states = [queue.find(task).status for task in (first, second, third, *marked)]
    assert (
        frozenset(),
        [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING, *[TaskStatus.CANCELLED] * 3],
    ) == (settled, states)


def test_a_cancelled_task_whose_worker_died_is_never_run_again(queue: Queue) -> None:
    """
    Recovery ends it, with attempts left or without; the late worker's outcome is refused.
    """
    queue.register("w1")
    queue.enqueue(max_attempts=3)
    task = queue.claim_one("w1")
    queue.cancel(task)

    queue.lose("w1")

    queue.register("w2")
    assert (TaskStatus.CANCELLED, [], False) == (queue.find(task).status, queue.claim("w2"), queue.complete(task))
    assert ["created", "started", "recovered", "cancelled", "lease_lost"] == queue.told


def test_a_completion_before_the_cancel_stands(queue: Queue) -> None:
    """
    The other order: there is nothing left to cancel.
    """
    queue.register()
    queue.enqueue()
    queue.complete(task := queue.claim_one(), "done")

    with pytest.raises(IllegalTransition) as refused:
        queue.cancel(task)

    allowed = (TaskStatus.BLOCKED, TaskStatus.PENDING, TaskStatus.RUNNING)
    assert (task.id, "cancel", TaskStatus.COMPLETED, allowed) == (
        refused.value.task_id,
        refused.value.verb,
        refused.value.status,
        refused.value.allowed,
    )
    assert "done" == queue.find(task).result


def test_a_completion_in_the_handlers_own_transaction_is_refused(queue: Queue) -> None:
    """
    What was written with it must not stay: the caller is told, and rolls back.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.cancel(task)

    refused = queue.uow.run(SettleTasks(or_cancelled=False), [Settlement(task, completed("done"))])

    assert (frozenset({task.id}), TaskStatus.RUNNING) == (refused, queue.find(task).status)


def test_an_end_whose_answer_was_lost_is_told_as_cancelled(queue: Queue) -> None:
    """
    The worker asks again with what its handler returned.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.cancel(task)
    queue.complete(task, "done")
    queue.events.clear()

    refused = queue.uow.run(SettleTasks(), [Settlement(task, completed("done"))], again=True)

    assert (frozenset(), ["cancelled"]) == (refused, queue.told)


def test_what_is_being_cancelled_stands_in_nobodys_way(queue: Queue) -> None:
    """
    It will not do what is asked for now, so its unique key is free.
    """
    queue.jobs.define(EMAIL, unique=Unique())(_nothing)
    queue.register()
    queue.enqueue()
    queue.cancel(first := queue.claim_one())

    second = queue.enqueue()
    queue.settle(first, Released())

    assert (TaskStatus.CANCELLED, second.id) == (queue.find(first).status, queue.claim_one().id)


async def _nothing(payload: object, context: object) -> None: ...


def test_a_cancelled_running_task_can_be_asked_for_again_once_it_has_ended(queue: Queue) -> None:
    """
    Not before; and then the mark is gone.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.cancel(task)

    with pytest.raises(IllegalTransition):
        queue.retry(task)
    queue.settle(task, Released())
    queue.retry(task)

    assert (TaskStatus.PENDING, None) == (queue.find(task).status, queue.find(task).cancel_requested_at)
    assert queue.complete(queue.claim_one())
