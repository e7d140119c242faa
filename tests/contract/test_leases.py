"""Leases: a worker that lost its right to a task can do nothing to it any more."""

from app.domain.tasks.outcomes import Failed, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Progress
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from tests.contract.model import LEASE
from tests.contract.subject import Queue, completed
from tests.examples import a_failure, new_task


def given_a_lost_lease(queue: Queue) -> tuple[WorkerTask, WorkerTask]:
    """One task as the worker ``slow`` still sees it, and as ``quick`` runs it after the recovery."""
    queue.register("slow")
    queue.register("quick")
    queue.enqueue(max_attempts=10)
    slow = queue.claim_one("slow")
    queue.lose("slow")
    return slow, queue.claim_one("quick")


def test_a_worker_that_lost_its_lease_cannot_settle(queue: Queue) -> None:
    """
    Once a recovered task was claimed again, the first worker's result is refused and the second one's stands.
    """
    slow, quick = given_a_lost_lease(queue)

    late, in_time = queue.complete(slow, "slow"), queue.complete(quick, "quick")

    assert (False, True, "quick") == (late, in_time, queue.find(slow).result)


def test_no_outcome_at_all_is_taken_under_a_lost_lease(queue: Queue) -> None:
    """
    Neither failure, retry, snooze nor release of the first worker touches the second one's run.
    """
    slow, quick = given_a_lost_lease(queue)
    outcomes: list[Outcome] = [Failed(a_failure()), RetryIn(a_failure(), 0), Snoozed(0), Released()]

    accepted = [queue.settle(slow, outcome) for outcome in outcomes]

    found = queue.find(quick)
    assert [False, False, False, False] == accepted
    assert (TaskStatus.RUNNING, "quick", 2, 1) == (
        found.status,
        found.worker_id,
        found.attempts,
        len(found.errors),
    )


def test_a_late_result_after_the_end_changes_nothing(queue: Queue) -> None:
    """
    What the second worker stored is what remains.
    """
    slow, quick = given_a_lost_lease(queue)
    queue.complete(quick, "quick")

    accepted = [queue.complete(slow, "slow"), queue.fail(slow)]

    assert ([False, False], "quick") == (accepted, queue.find(slow).result)


def test_a_lease_ends_with_the_recovery_not_with_the_next_claim(queue: Queue) -> None:
    """
    A result that comes after the recovery and before another claim is late already.
    """
    queue.register("slow")
    queue.enqueue()
    slow = queue.claim_one("slow")
    queue.lose("slow")

    accepted = queue.complete(slow)

    assert (False, TaskStatus.PENDING) == (accepted, queue.find(slow).status)


def test_the_progress_of_a_lost_lease_is_refused(queue: Queue) -> None:
    """
    Only whoever runs the task now says how far it has come.
    """
    slow, quick = given_a_lost_lease(queue)

    accepted = queue.progress(
        [
            Progress(task_id=slow.id, lease_seq=slow.lease_seq, percent=90, message="nearly"),
        ]
    )
    queue.report(quick, 10, "begun")
    queue.report(slow, 95, "nearly")

    found = queue.find(quick)
    assert (frozenset(), 10, "begun") == (accepted, found.progress, found.progress_message)


def test_a_buried_worker_cannot_renew(queue: Queue) -> None:
    """
    Its beat tells it so, and goes on telling it.
    """
    given_a_lost_lease(queue)

    beats = [queue.beat("slow"), queue.beat("slow"), queue.beat("quick")]

    assert [False, False, True] == beats


def test_the_fence_holds_over_a_release_to_the_same_worker(queue: Queue) -> None:
    """
    Attempts are given back and repeat themselves, the fence does not.
    """
    queue.register("w1")
    queue.enqueue()
    first = queue.claim_one("w1")
    queue.settle(first, Released())
    second = queue.claim_one("w1")

    accepted = queue.complete(first, "first")

    assert (first.attempts, first.lease_seq + 1) == (second.attempts, second.lease_seq)
    assert (False, TaskStatus.RUNNING) == (accepted, queue.find(second).status)


def test_the_fence_holds_over_a_snooze(queue: Queue) -> None:
    """
    An attempt that slept cannot come back and settle the one that follows.
    """
    queue.register("w1")
    queue.enqueue()
    first = queue.claim_one("w1")
    queue.settle(first, Snoozed(0))
    queue.claim_one("w1")

    accepted = queue.complete(first)

    assert not accepted


def test_the_fence_holds_over_a_reset_of_the_attempts(queue: Queue) -> None:
    """
    After a retry from zero the count of attempts starts again and the fence goes on.
    """
    queue.register("w1")
    queue.enqueue()
    queue.fail(first := queue.claim_one("w1"))
    queue.retry(first, reset_attempts=True)
    second = queue.claim_one("w1")

    accepted = queue.complete(first)

    assert (1, 1, False) == (first.attempts, second.attempts, accepted)
    assert (1, 2) == (first.lease_seq, second.lease_seq)


def test_progress_is_stored_and_survives_the_end(queue: Queue) -> None:
    """
    The latest report of a running attempt is what readers see.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()

    queue.report(task, 12.5, "first page")
    queue.report(task, 40, None)
    running = queue.find(task)
    queue.complete(task)

    assert (40, None) == (running.progress, running.progress_message)
    assert 40 == queue.find(task).progress


def test_progress_after_the_end_is_refused(queue: Queue) -> None:
    """
    A report that comes after the settlement of its own attempt is late.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.complete(task)

    queue.report(task, 99)

    assert None is queue.find(task).progress


def test_an_earlier_settlement_is_recognised(queue: Queue) -> None:
    """
    Whatever the outcome was, a worker that asks again hears that it is stored; one that still runs is not.
    """
    queue.register()
    queue.enqueue_many([new_task() for _ in range(5)])
    completes, fails, retries, releases, runs = queue.claim(limit=5)
    queue.complete(completes)
    queue.fail(fails)
    queue.fail_and_retry(retries, 10)
    queue.settle(releases, Released())

    known = [queue.settled_before(task) for task in (completes, fails, retries, releases, runs)]

    assert [True, True, True, True, False] == known


def test_a_settlement_sent_again_is_no_lost_lease(queue: Queue) -> None:
    """
    After an answer was lost the same settlement is accepted quietly; without saying so it is refused.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.complete(task, "once")

    again, blindly = queue.settle(task, completed("twice"), again=True), queue.complete(task, "twice")

    assert (True, False, "once") == (again, blindly, queue.find(task).result)


def test_a_settlement_sent_again_after_a_recovery_is_refused(queue: Queue) -> None:
    """
    A worker that was cut off must not take the end which recovery gave its run for its own outcome.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()
    queue.clock.advance(LEASE + 1)
    queue.recover()

    again = queue.settle(task, completed("late"), again=True)

    assert (False, TaskStatus.PENDING, None) == (again, queue.find(task).status, queue.find(task).result)
    assert "completed" not in queue.told


def test_a_settlement_sent_again_after_another_claim_is_refused(queue: Queue) -> None:
    """
    Who has run the task since cannot be told from who took it over, so the careful answer is no.
    """
    slow, _ = given_a_lost_lease(queue)

    accepted = queue.settle(slow, completed(), again=True)

    assert not accepted


def test_a_worker_finds_the_claims_it_never_heard_of(queue: Queue) -> None:
    """
    Tasks that run under a worker beside those it knows are handed to it once more, with the same lease.
    """
    queue.register("w1")
    queue.register("w2")
    queue.enqueue_many([new_task() for _ in range(4)])
    known, lost, ended = queue.claim("w1", limit=3)
    queue.claim("w2")
    queue.complete(ended)

    adopted = queue.adopt("w1", known=[known.id])

    assert [(lost.id, lost.lease_seq)] == [(task.id, task.lease_seq) for task in adopted]
    assert queue.complete(adopted[0])


def test_a_worker_that_knows_all_its_tasks_adopts_none(queue: Queue) -> None:
    """
    The ordinary answer is that nothing was lost.
    """
    queue.register()
    queue.enqueue()
    task = queue.claim_one()

    adopted = queue.adopt(known=[task.id])

    assert [] == adopted
