"""Clearing: what the rules of retention keep no longer goes, the rest stays as it was, and the counts stay exact."""

from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.job import Job
from app.domain.jobs.keep import Keep
from app.domain.retention_rules import RetentionRules
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.errors import IllegalTransition, TaskNotFound
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.task import WorkerTask
from app.usecases.clearing import PreviewRetention
from app.worker.clearing import ClearingRounds
from app.worker.retention import RetentionRounds
from tests.contract.subject import Queue
from tests.examples import EMAIL, REPORT, a_failure, new_task

DAY = 86_400.0
NO_LETTER = Failed(a_failure(), Death(DeathReason.EXHAUSTED, is_letter=False))


@pytest.fixture(params=[True, False], ids=["days have room of their own", "no upkeep was done before"])
def queue(request: pytest.FixtureRequest, queue: Queue) -> Queue:
    """At noon, with one worker."""
    if request.param:
        queue.keep_up()
    queue.register(lease=1e9)
    return queue


def a_day(
    queue: Queue, completed: int = 8, failed: int = 1, *, type: str = EMAIL, lane: str = "default"
) -> list[WorkerTask]:
    """So many tasks that end today."""
    queue.enqueue_many([new_task(type, queue=lane) for _ in range(completed + failed)])
    claimed = queue.claim(limit=completed + failed)
    for index, task in enumerate(claimed):
        queue.complete(task, {"n": index}) if index < completed else queue.settle(task, NO_LETTER)
    return claimed


def rounds(queue: Queue, rules: str) -> ClearingRounds:
    return ClearingRounds(queue.uow, RetentionRules.of(rules))


def cleared(queue: Queue, rules: str) -> int:
    """How many went in a round of upkeep by these rules."""
    removed = rounds(queue, rules).round().removed
    queue.keep_up()
    return removed


def left(queue: Queue, **which: Any) -> set[Any]:
    return {task.id for task in queue.newest(limit=10_000, **which)}


def check_counts(queue: Queue) -> None:
    """What is counted is what is there, and everything that is there is found."""
    stats, listed = queue.stats(), queue.newest(limit=10_000)
    assert len({task.id for task in listed}) == len(listed)
    assert (stats.total, *(len([1 for task in listed if task.status == one]) for one in ("completed", "failed"))) == (
        len(listed),
        stats.completed,
        stats.failed,
    )
    assert [queue.find(task).id for task in listed] == [task.id for task in listed]


def test_without_rules_nothing_goes(queue: Queue) -> None:
    """
    Nobody's data are removed unless somebody has said so, and the database is not even asked.
    """

    class Refusing:
        def run(self, *arguments: Any) -> Any:
            raise AssertionError("it was asked")

    a_day(queue)
    queue.clock.advance(1000 * DAY)

    assert (0, 0, None) == ClearingRounds(Refusing(), RetentionRules()).round()  # type: ignore[arg-type]  # unused
    assert (9, []) == (queue.stats().total, queue.uow.run(PreviewRetention(RetentionRules())))


def test_what_ended_goes_with_its_day(queue: Queue) -> None:
    """
    Not a moment before its last task is old enough; by status, the completed ones first and the failed ones later.
    """
    tasks = a_day(queue)
    queue.clock.advance(DAY / 2)  # midnight
    removed = []
    for seconds in (2 * DAY - 1, 1, 5 * DAY - 1, 1):
        queue.clock.advance(seconds)
        removed.append(cleared(queue, "completed=2d, failed=7d"))
        check_counts(queue)

    assert [0, 8, 0, 1] == removed
    assert set() == left(queue)
    with pytest.raises(TaskNotFound):
        queue.find(tasks[0])


@pytest.mark.parametrize("share", [(8, 1), (4, 4), (1, 8)], ids=["a few stay", "half stays", "most stays"])
def test_what_stays_is_as_it_was(queue: Queue, share: tuple[int, int]) -> None:
    """
    Found, listed, counted with its duration, and retried under its own id, wherever it lies by now.
    """
    completed, failed = share
    tasks = a_day(queue, completed, failed)
    before = [queue.find(task) for task in tasks[completed:]]
    queue.clock.advance(3 * DAY)

    removed = cleared(queue, "completed=2d")
    check_counts(queue)
    after = [queue.find(task) for task in before]
    retried = queue.retry(before[0])
    claimed = queue.claim_one()
    queue.complete(claimed)

    assert (completed, {task.id for task in before}) == (removed, left(queue))
    assert [(task.id, task.errors, task.finished_at) for task in before] == [
        (task.id, task.errors, task.finished_at) for task in after
    ]
    assert retried.id == claimed.id == before[0].id
    assert (1, failed - 1) == (queue.stats().completed, queue.stats().failed)
    check_counts(queue)


def test_rules_tell_types_and_queues_apart(queue: Queue) -> None:
    """
    The first that is about a task counts; one that is kept for ever stays, whatever follows.
    """
    mails = a_day(queue, 3, 1)
    reports = a_day(queue, 3, 1, type=REPORT)
    bulk = a_day(queue, 3, 1, lane="bulk")
    queue.clock.advance(3 * DAY)

    removed = cleared(queue, "failed:report:*=forever, *@bulk=10d, completed:email:*=1d, *:report:*=1d, failed=20d")

    stays = {mails[-1].id, reports[-1].id, *(task.id for task in bulk)}
    assert (6, stays) == (removed, left(queue))
    check_counts(queue)


def test_what_has_not_ended_and_dead_letters_stay(queue: Queue) -> None:
    """
    However old they are: dead letters have an age of their own.
    """
    waiting = queue.enqueue(REPORT, delay=1e8)
    queue.enqueue()
    queue.fail(letter := queue.claim_one())
    a_day(queue)
    queue.clock.advance(100 * DAY)

    assert (9, {waiting.id, letter.id}) == (cleared(queue, "*=1d"), left(queue))
    check_counts(queue)


def test_days_go_one_by_one_and_today_stays(queue: Queue) -> None:
    """
    Even by a rule that keeps nothing: the present day is not over.
    """
    totals = []
    for _ in range(5):
        a_day(queue, 3, 1)
        cleared(queue, "completed=0, failed=2d")
        totals.append((queue.stats().completed, queue.stats().failed))
        check_counts(queue)
        queue.clock.advance(DAY)

    assert [(3, 1), (3, 2), (3, 3), (3, 3), (3, 3)] == totals


def test_what_a_job_keeps_and_the_rules_work_side_by_side(queue: Queue) -> None:
    """
    What either would remove goes, from wherever the other has moved it to.
    """
    days = []
    for _ in range(4):
        queue.keep_up()
        days.append(a_day(queue, 8, 2))
        queue.clock.advance(DAY)
    by_rules = cleared(queue, "completed=1d")
    job: Job[Any, Any] = Job(EMAIL, lambda payload, context: None, keep=Keep(count=13))
    by_job = RetentionRounds(queue.uow, [job]).round()
    check_counts(queue)
    kept = left(queue)

    # 24 completed ones of three days are gone; of 2 + 2 + 2 failed ones and 10 of the last day, the newest 13 stay.
    assert (24, 3, 13) == (by_rules, by_job, len(kept))
    assert {task.id for task in days[3]} <= kept
    assert not {task.id for task in days[0]} & kept


def test_a_clean_up_counts_right_over_all_shelves(queue: Queue) -> None:
    """
    What was moved, what is where it ended, and dead letters.
    """
    a_day(queue, 8, 2)
    queue.enqueue()
    queue.fail(queue.claim_one())
    queue.clock.advance(2 * DAY)
    queue.keep_up()
    a_day(queue, 3, 2)
    cleared(queue, "completed=1d")
    queue.clock.advance(DAY)

    removed = [queue.cleanup(days * DAY) for days in (2.5, 2.5, 0.5)]

    assert ([3, 0, 5], 0) == (removed, queue.stats().total)
    check_counts(queue)


def test_a_preview_changes_nothing_and_says_what_would_be_done(queue: Queue) -> None:
    """
    The same that is then done.
    """
    for share in ((8, 1), (8, 0)):
        a_day(queue, *share)
        queue.clock.advance(DAY)
        queue.keep_up()
    queue.clock.advance(DAY)
    rules = RetentionRules.of("completed=1d")

    seen = [(one.held.day.day, one.goes, one.stays) for one in queue.uow.run(PreviewRetention(rules))]
    before = queue.stats().total

    assert ([(1, 8, 1), (2, 8, 0)], 17) == (seen, before)
    assert 16 == cleared(queue, "completed=1d")
    assert [] == queue.uow.run(PreviewRetention(rules))


def test_a_completed_task_that_was_moved_is_not_retried(queue: Queue) -> None:
    """
    It obeys the same table of transitions as any other.
    """
    done = a_day(queue, 1, 8)[0]
    queue.clock.advance(3 * DAY)
    cleared(queue, "failed=1d")

    with pytest.raises(IllegalTransition):
        queue.retry(done)


def test_wrong_rules_stop_whoever_asks() -> None:
    """
    Before anything is done.
    """
    with pytest.raises(InvalidInput, match="WORKER_DEAD_LETTER_TTL"):
        RetentionRules.of("dead=7d")
