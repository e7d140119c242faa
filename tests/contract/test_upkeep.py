"""Upkeep: whenever it is done, what people see stays the same."""

from datetime import timedelta

from app.domain.health import UPKEEP_SECONDS
from app.domain.upkeep import StepDone
from app.usecases.upkeep import FoldTallies, NoteUpkeep
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import REPORT, new_task

DAY = timedelta(days=1).total_seconds()


def days_of_work(queue: Queue, days: int = 6) -> None:
    """One task completed and one failed on each of so many days, with an upkeep before, and a third that waits."""
    queue.register(lease=1e9)
    for _ in range(days):
        queue.keep_up()
        queue.enqueue_many([new_task(), new_task(REPORT, queue="other"), new_task(delay=1e9)])
        completed, failed = queue.claim(limit=2)
        queue.clock.advance(2)
        queue.complete(completed)
        queue.fail(failed)
        queue.clock.advance(DAY)


def test_upkeep_changes_nothing_that_anybody_sees(queue: Queue) -> None:
    """
    Counts, durations and lists are the same before and after, and after doing it again.
    """
    days_of_work(queue)
    seen = []

    for _ in range(3):
        listed = [task.id for task in queue.newest()]
        seen.append((queue.stats(), queue.breakdown("type"), queue.breakdown("queue"), listed))
        queue.keep_up()

    assert [seen[0]] * 3 == seen
    assert (6, 6, 6) == (queue.stats().pending, queue.stats().completed, queue.stats().failed)


def test_a_task_of_any_day_is_found_and_retried(queue: Queue) -> None:
    """
    It leaves the counts of its day, and comes back to those of the day on which it ends again.
    """
    days_of_work(queue)
    old = queue.newest(status="failed", limit=10)[-1]

    retried = queue.retry(queue.find(old))
    between = queue.stats()
    [claimed] = queue.claim()
    queue.complete(claimed)
    queue.keep_up()

    assert [old.id, old.id] == [retried.id, claimed.id]
    assert (5, 7) == (between.failed, between.pending)
    assert (5, 7) == (queue.stats().failed, queue.stats().completed)


def test_a_clean_up_takes_whole_days_and_the_part_of_one(queue: Queue) -> None:
    """
    It returns how many went, wherever they lay, and the counts say the same.
    """
    days_of_work(queue)
    queue.clock.advance(
        -1
    )  # the latest ended a second less than a day ago, each earlier one a day and two seconds more

    removed = [queue.cleanup(days * DAY) for days in (3, 3, 2, 1, 0)]
    queue.keep_up()

    assert [8, 0, 2, 0, 2] == removed
    assert (6, 6) == (queue.stats().total, queue.stats().pending)
    assert 6 == len(queue.newest())


def test_a_clean_up_of_a_day_without_room_of_its_own_takes_it_as_well(queue: Queue) -> None:
    """
    As when nobody did any upkeep for a while, or has begun it in the middle of a day.
    """
    queue.register(lease=1e9)
    for _ in range(3):
        queue.enqueue()
        queue.complete(queue.claim_one())
        queue.keep_up()
        queue.enqueue()
        queue.complete(queue.claim_one())
        queue.clock.advance(30 * DAY)

    removed = [queue.cleanup(days * DAY) for days in (61, 31, 30, 29)]

    assert ([2, 2, 0, 2], 0) == (removed, queue.stats().total)


def test_counts_are_exact_while_many_fold_settle_retry_and_clean_up(queue: Queue) -> None:
    """
    Everything that moves a task to or from the history, at once with what folds the counts of it.
    """
    days_of_work(queue, 3)

    def live(number: int) -> int:
        removed = 0
        for round in range(8):
            queue.enqueue_many([new_task() for _ in range(5)])
            for task in queue.claim(limit=5):
                queue.complete(task) if round % 2 else queue.fail(task)
            for task in queue.newest(status="failed", limit=1) if number == 0 else ():
                queue.retry(task)
            if number == 1:
                removed += queue.cleanup(0.5 * DAY)
            queue.uow.run(FoldTallies())
        return removed

    in_parallel(4, live)

    stats, listed = queue.stats(), queue.newest(limit=10_000)
    assert (stats.total, stats.completed, stats.failed) == (
        len(listed),
        len(queue.newest(status="completed", limit=10_000)),
        len(queue.newest(status="failed", limit=10_000)),
    )


def test_check_says_which_step_has_not_gone_through_for_long(queue: Queue) -> None:
    """
    Once a worker has been there for long enough; in memory there is nothing to keep up.
    """
    queue.register(lease=1e9)
    queue.beat(hears_notifications=True)
    is_stored = queue.check().upkeep is not None
    seen = [queue.check().problems]
    done = [StepDone("vacuum", True), StepDone("clear days", True, "may not"), StepDone("make days", True)]
    queue.clock.advance(UPKEEP_SECONDS + 1)
    seen.append(queue.check().problems)
    queue.uow.run(NoteUpkeep(), done)
    seen.append(queue.check().problems)
    notes = queue.check().notes
    queue.clock.advance(UPKEEP_SECONDS + 1)
    queue.uow.run(NoteUpkeep(), [*done[:2], StepDone("make days", False, "it broke")])
    seen.append(queue.check().problems)

    late = "Upkeep: 'make days' has not gone through for 1801 s (it broke): look into the logs of the workers."
    nothing = "No worker has noted a round of upkeep for 1801 s: look into their logs."
    assert [(), (nothing,) * is_stored, (), (late,) * is_stored] == seen
    assert ("Upkeep: may not",) * is_stored == notes
