"""Expiry: what was not started in time is not started any more, and ends cancelled."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.unique import Unique
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.errors import TaskExpired
from app.domain.tasks.outcomes import Released, Snoozed
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.claim import ClaimTask
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, a_node, new_task


def test_what_was_not_started_in_time_is_not_claimed(queue: Queue) -> None:
    """
    From that very moment on, whether anybody has looked at it since or not; others are.
    """
    queue.register()
    queue.enqueue(ttl=10, priority=5)
    other = queue.enqueue()
    queue.clock.advance(10)

    assert [other.id] == [task.id for task in queue.claim(limit=5)]
    assert queue.next_due_in() is None


def test_what_was_not_started_in_time_ends_cancelled(queue: Queue) -> None:
    """
    Those who look after the queue end it, for a reason that says so, as a dead letter, and tell of it.
    """
    task = queue.enqueue(expires_at=NOON + timedelta(seconds=10))
    before = queue.expire()
    queue.clock.advance(10)

    expired = queue.expire()

    found = queue.find(task)
    assert (0, 1, 0) == (before, expired, queue.expire())
    assert (TaskStatus.CANCELLED, DeathReason.EXPIRED, True, 0, NOON + timedelta(seconds=10)) == (
        found.status,
        found.reason,
        found.is_dead_letter,
        found.attempts,
        found.finished_at,
    )
    assert (found.error or "").startswith("expired: not started by 2")
    assert ["created", "cancelled", "dead_lettered"] == queue.told
    assert (1, 1) == (queue.stats().cancelled, queue.stats().total)


def test_what_is_claimed_in_time_runs_however_long_it_takes(queue: Queue) -> None:
    """
    Its retries too: an attempt that failed had started in time.
    """
    queue.register()
    queue.enqueue(ttl=10)
    queue.clock.advance(9)
    task = queue.claim_one()
    queue.clock.advance(100)
    while_running = queue.expire()
    queue.fail_and_retry(task, 5)
    queue.clock.advance(5)

    again = queue.claim_one()

    assert (0, 0, task.id) == (while_running, queue.expire(), again.id)
    assert queue.complete(again)


@pytest.mark.parametrize("outcome", [Released(), Snoozed(1)])
def test_what_was_given_back_has_been_started_all_the_same(queue: Queue, outcome: Released | Snoozed) -> None:
    """
    A deployment that gives it back is no reason not to do it.
    """
    queue.register()
    queue.enqueue(ttl=10)
    queue.settle(task := queue.claim_one(), outcome)

    queue.clock.advance(10)

    assert (0, task.id) == (queue.expire(), queue.claim_one().id)


@pytest.mark.parametrize("on_conflict", ["drop", "raise", "replace"])
def test_what_has_expired_stands_in_nobodys_way(queue: Queue, on_conflict: Any) -> None:
    """
    Its unique key is free from that moment on, whether anybody has ended it or not.
    """
    queue.jobs.define(EMAIL, unique=Unique(on_conflict=on_conflict))(_nothing)
    first = queue.enqueue(ttl=10)
    queue.clock.advance(10)

    second = queue.enqueue()

    assert second.id != first.id
    assert (1, [second.id]) == (queue.expire(), [task.id for task in queue.newest() if not task.status.is_final])


def test_time_to_live_counts_from_when_a_task_falls_due(queue: Queue) -> None:
    """
    A reminder for tomorrow with ten seconds to live is not dead tonight.
    """
    queue.register()
    task = queue.enqueue(delay=100, ttl=10)

    queue.clock.advance(105)

    assert NOON + timedelta(seconds=110) == task.expires_at == queue.find(task).expires_at
    assert (0, task.id) == (queue.expire(), queue.claim_one().id)


def test_the_callers_word_on_expiry_goes_before_the_jobs(queue: Queue) -> None:
    """
    Without one it is the job's; in bulk each task has its own.
    """

    @queue.jobs.define(EMAIL, ttl=timedelta(minutes=1))
    async def send(payload: object, context: object) -> None: ...

    at = NOON + timedelta(hours=1)
    tasks = queue.enqueue_many([new_task(), new_task(ttl=5), new_task(expires_at=at), new_task("other:type")])

    expected = [NOON + timedelta(minutes=1), NOON + timedelta(seconds=5), at, None]
    assert expected == [task.expires_at for task in tasks] == [queue.find(task).expires_at for task in tasks]


def test_what_has_expired_lives_again_when_somebody_asks_for_it(queue: Queue) -> None:
    """
    Whoever wants it done now wants it done late.
    """
    queue.register()
    task = queue.enqueue(ttl=10)
    queue.clock.advance(10)
    queue.expire()

    queue.retry(task)

    found = queue.find(task)
    assert (TaskStatus.PENDING, None, None, False) == (
        found.status,
        found.expires_at,
        found.reason,
        found.is_dead_letter,
    )
    assert queue.complete(queue.claim_one())


def test_a_task_that_has_expired_is_not_run_by_its_id(queue: Queue) -> None:
    """
    The refusal says until when it was to be started.
    """
    task = queue.enqueue(ttl=10)
    queue.jobs.define(EMAIL)(_nothing)
    queue.clock.advance(10)

    with pytest.raises(TaskExpired) as refused:
        queue.uow.run(ClaimTask(queue.jobs), a_node(), task.id)

    assert (task.id, NOON + timedelta(seconds=10)) == (refused.value.task_id, refused.value.expires_at)


def test_a_job_may_keep_no_letters_of_what_expires(queue: Queue) -> None:
    """
    Then it is cancelled like any other, and files under a queue of its own where the job says so.
    """
    queue.jobs.define(EMAIL, dead_letter=False)(_nothing)
    queue.jobs.define("order:ship", dead_letter="shipping")(_nothing)
    tasks: list[WorkerTask] = [queue.enqueue(ttl=1), queue.enqueue("order:ship", ttl=1)]
    queue.clock.advance(1)

    queue.expire()

    expected = [(DeathReason.EXPIRED, False, None), (DeathReason.EXPIRED, True, "shipping")]
    found = [queue.find(task) for task in tasks]
    assert expected == [(one.reason, one.is_dead_letter, one.letter_queue) for one in found]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"ttl": 0}, "ttl"),
        ({"ttl": "soon"}, "ttl"),
        ({"ttl": 1, "expires_at": NOON}, "ttl"),
        ({"expires_at": NOON.replace(tzinfo=None)}, "expires_at"),
        ({"expires_at": NOON, "scheduled_at": NOON}, "expires_at"),
    ],
)
def test_an_expiry_that_makes_no_sense_is_refused(queue: Queue, asked: dict[str, Any], field: str) -> None:
    """
    And nothing is stored.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.enqueue(**asked)

    assert (field, 0) == (refused.value.field, queue.stats().total)


async def _nothing(payload: object, context: object) -> None: ...
