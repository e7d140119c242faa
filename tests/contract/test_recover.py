"""Recover: tasks of a dead worker come back, those of a living one stay."""

from datetime import timedelta

from app.domain.tasks.failures import AttemptError
from app.domain.tasks.status import TaskStatus
from tests.contract.subject import Queue
from tests.examples import NOON, a_failure, new_task


def test_a_task_of_a_silent_worker_is_due_again(queue: Queue) -> None:
    """
    Once the lease ran out, the task is pending and due, and belongs to nobody.
    """
    queue.register("w1")
    task = queue.enqueue()
    queue.claim_one("w1")
    queue.clock.advance(61)

    recovered = queue.recover()

    found = queue.find(task)
    assert (1, TaskStatus.PENDING, None) == (recovered, found.status, found.worker_id)
    assert NOON + timedelta(seconds=61) == found.scheduled_at


def test_recovery_spends_an_attempt_and_says_so(queue: Queue) -> None:
    """
    The lost worker is an error like another, with its name and no traceback.
    """
    queue.register("w1")
    task = queue.enqueue()
    queue.claim_one("w1")
    queue.clock.advance(61)

    queue.recover()

    found = queue.find(task)
    message = "worker w1 fell silent while running attempt 1: killed, frozen or cut off"
    at = NOON + timedelta(seconds=61)
    assert [AttemptError(attempt=1, at=at, type="WorkerLost", message=message)] == found.errors
    assert (1, f"WorkerLost: {message}") == (found.attempts, found.error)


def test_a_task_that_kills_its_workers_ends_failed(queue: Queue) -> None:
    """
    Recovery counts against the budget, so that no task is handed out for ever.
    """
    task = queue.enqueue(max_attempts=3)

    for number in range(3):
        queue.register(f"w{number}")
        queue.claim_one(f"w{number}")
        queue.clock.advance(61)
        queue.recover()

    found = queue.find(task)
    assert (TaskStatus.FAILED, 3, 3) == (found.status, found.attempts, len(found.errors))
    assert (queue.clock.now(), "w2") == (found.finished_at, found.worker_id)


def test_recovery_waits_for_no_back_off(queue: Queue) -> None:
    """
    The job has done nothing wrong yet, so another worker may claim its task at once.
    """
    queue.register("w1")
    queue.enqueue()
    queue.claim_one("w1")
    queue.clock.advance(61)
    queue.register("w2")

    queue.recover()
    [again] = queue.claim("w2")

    assert (2, "w2") == (again.attempts, again.worker_id)


def test_a_worker_is_not_dead_before_its_lease_has_run_out(queue: Queue) -> None:
    """
    At the last moment of its lease it is alive, a microsecond later it is not.
    """
    queue.register("w1", lease=10)
    queue.enqueue()
    queue.claim_one("w1")

    queue.clock.advance(10)
    at_the_end = queue.recover()
    queue.clock.advance(0.000001)
    after_the_end = queue.recover()

    assert (0, 1) == (at_the_end, after_the_end)


def test_a_healthy_workers_task_is_never_recovered(queue: Queue) -> None:
    """
    A task may run for hours while its worker beats.
    """
    queue.register("w1", lease=60)
    queue.enqueue()
    task = queue.claim_one("w1")

    recovered = 0
    for _ in range(100):
        queue.clock.advance(59)
        queue.beat("w1")
        recovered += queue.recover()

    assert (0, True) == (recovered, queue.complete(task))


def test_each_worker_has_a_lease_of_its_own_length(queue: Queue) -> None:
    """
    After a minute the one that promised to be quick is dead, the one that promised less is alive.
    """
    queue.register("quick", lease=5)
    queue.register("slow", lease=500)
    queue.enqueue_many([new_task(), new_task()])
    quick, slow = queue.claim_one("quick"), queue.claim_one("slow")
    queue.clock.advance(60)

    queue.recover()

    assert TaskStatus.PENDING is queue.find(quick).status
    assert TaskStatus.RUNNING is queue.find(slow).status


def test_only_running_tasks_are_recovered(queue: Queue) -> None:
    """
    What the dead worker had ended stays as it ended.
    """
    queue.register("w1")
    queue.enqueue_many([new_task() for _ in range(4)])
    completed, failed, waiting, running = queue.claim("w1", limit=4)
    queue.complete(completed)
    queue.fail(failed)
    queue.fail_and_retry(waiting, 1000)
    queue.clock.advance(61)

    recovered = queue.recover()

    statuses = [str(queue.find(task).status) for task in (completed, failed, waiting, running)]
    assert (1, ["completed", "failed", "pending", "pending"]) == (recovered, statuses)
    assert [a_failure().message] == [error.message for error in queue.find(waiting).errors]


def test_the_tasks_of_a_worker_that_left_are_taken_back_at_once(queue: Queue) -> None:
    """
    Who leaves with tasks still running has orphaned them.
    """
    queue.register("w1")
    queue.enqueue()
    task = queue.claim_one("w1")

    queue.leave("w1")
    recovered = queue.recover()

    assert (1, TaskStatus.PENDING) == (recovered, queue.find(task).status)


def test_recovery_goes_on_in_batches(queue: Queue) -> None:
    """
    A dead worker with many tasks is dealt with a batch at a time, until none is left.
    """
    queue.register("w1")
    queue.enqueue_many([new_task() for _ in range(7)])
    queue.claim("w1", limit=7)
    queue.clock.advance(61)

    recovered = [queue.recover(batch=3) for _ in range(4)]

    assert [3, 3, 1, 0] == recovered
    assert 7 == queue.stats().pending


def test_an_orphan_is_a_running_task_whose_worker_is_not_registered(queue: Queue) -> None:
    """
    Not one that runs under a worker who is there, nor one that waits.
    """
    queue.register("w1")
    queue.register("w2")
    queue.enqueue_many([new_task() for _ in range(4)])
    orphan, settled = queue.claim("w1", limit=2)
    queue.fail_and_retry(settled)
    queue.claim_one("w2")
    queue.leave("w1")

    found = queue.uow.run(lambda tx: tx.tasks.lock_orphans(10))

    assert [(orphan.id, "w1", 1)] == [(task.id, task.worker_id, task.lease_seq) for task in found]


def test_there_is_nothing_to_recover_in_peace(queue: Queue) -> None:
    """
    Recovery of an empty queue, and of one that only waits, does nothing.
    """
    empty = queue.recover()
    queue.enqueue()

    assert (0, 0, 1) == (empty, queue.recover(), queue.stats().pending)
