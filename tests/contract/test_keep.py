"""Keep: of a job's ended tasks the newest are kept, or those that ended not long ago, and the counts stay exact."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.jobs.job import Job
from app.domain.jobs.keep import Keep
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.task import WorkerTask
from app.worker.retention import RetentionRounds
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import EMAIL, REPORT, a_failure, new_task

DAY = 86_400.0
NO_LETTER = Failed(a_failure(), Death(DeathReason.EXHAUSTED, is_letter=False))


def job(type: str = EMAIL, keep: Keep | None = None) -> Job[Any, Any]:
    return Job(type, lambda payload, context: None, keep=keep)


def rounds(queue: Queue, *jobs: Job[Any, Any]) -> RetentionRounds:
    """What a worker that knows these jobs does in its upkeep."""
    return RetentionRounds(queue.uow, jobs)


def end(queue: Queue, number: int = 1, type: str = EMAIL, *, every: float = 60.0) -> list[WorkerTask]:
    """So many tasks that end one after the other: failed, completed and cancelled ones in turn; no dead letters."""
    ended = []
    for index in range(number):
        task = queue.enqueue(type)
        if index % 3 == 2:
            queue.cancel(task)
        else:
            [claimed] = queue.claim()
            queue.complete(claimed) if index % 3 else queue.settle(claimed, NO_LETTER)
        ended.append(task)
        queue.clock.advance(every)
    return ended


def left(queue: Queue, type: str = EMAIL) -> set[Any]:
    return {task.id for task in queue.newest(type=type, limit=10_000)}


def check_counts(queue: Queue) -> None:
    """What is counted is what is there."""
    stats = queue.stats()
    listed = [str(task.status) for task in queue.newest(limit=10_000)]
    assert (stats.total, stats.completed, stats.failed, stats.cancelled) == (
        len(listed),
        *(listed.count(status) for status in ("completed", "failed", "cancelled")),
    )


@pytest.fixture(params=[True, False], ids=["days have room of their own", "no upkeep was done before"])
def queue(request: pytest.FixtureRequest, queue: Queue) -> Queue:
    """At noon, with one worker."""
    if request.param:
        queue.keep_up()
    queue.register(lease=1e9)
    return queue


def test_the_newest_are_kept_by_count(queue: Queue) -> None:
    """
    Whatever they ended as; other jobs, and what has not ended, are left alone.
    """
    others = end(queue, 5, REPORT)
    ended = end(queue, 10)
    waiting = queue.enqueue(delay=1e6)

    removed = rounds(queue, job(keep=Keep(count=3)), job(REPORT)).round()

    assert (7, {task.id for task in [*ended[-3:], waiting]}) == (removed, left(queue))
    assert {task.id for task in others} == left(queue, REPORT)
    check_counts(queue)


@pytest.mark.parametrize("age", [timedelta(minutes=5), 300])
def test_those_that_ended_not_long_ago_are_kept_by_age(queue: Queue, age: Any) -> None:
    """
    Counted from the end, to the microsecond.
    """
    ended = end(queue, 10)
    queue.clock.advance(1e-6)

    removed = [rounds(queue, job(keep=Keep(age=age))).round() for _ in range(2)]

    assert ([6, 0], {task.id for task in ended[-4:]}) == (removed, left(queue))
    check_counts(queue)


def test_none_are_kept_when_none_are_wanted(queue: Queue) -> None:
    """
    Those of a job that nobody will look at are gone with the next upkeep.
    """
    end(queue, 4)
    running = queue.enqueue()
    queue.claim_one()

    removed = rounds(queue, job(keep=Keep(count=0))).round()

    assert (4, {running.id}) == (removed, left(queue))
    check_counts(queue)


def test_dead_letters_are_not_touched(queue: Queue) -> None:
    """
    Somebody has yet to look at them; nor do they count among those that are kept.
    """
    ended = end(queue, 2)
    queue.enqueue()
    queue.fail(letter := queue.claim_one())
    queue.clock.advance(60)

    removed = [rounds(queue, job(keep=keep)).round() for keep in (Keep(count=2), Keep(count=1), Keep(age=0))]

    assert ([0, 1, 1], {letter.id}) == (removed, left(queue))
    assert ended[0].id not in left(queue)
    check_counts(queue)


def test_with_both_goes_what_either_would_remove(queue: Queue) -> None:
    """
    First the age leaves fewer, then the count.
    """
    old, new = end(queue, 3), end(queue, 5)
    both = rounds(queue, job(keep=Keep(count=4, age=330)))

    by_count = both.round()
    queue.clock.advance(151)
    by_age = both.round()

    assert (4, {task.id for task in new[-2:]}, 2) == (by_count, left(queue), by_age)
    assert not {task.id for task in old} & left(queue)


def test_days_go_one_after_the_other(queue: Queue) -> None:
    """
    Over several days, with and without room of their own, the earliest go first; what was retried has no end.
    """
    ended = []
    for _ in range(5):
        queue.keep_up()
        ended += end(queue, 4, every=DAY / 4)
    retried = queue.retry(queue.find(ended[0]))

    by_count = rounds(queue, job(keep=Keep(count=13))).round()
    kept = left(queue)
    by_age = rounds(queue, job(keep=Keep(age=2 * DAY))).round()

    assert (6, {task.id for task in [*ended[7:], retried]}) == (by_count, kept)
    assert (5, {task.id for task in [*ended[12:], retried]}) == (by_age, left(queue))
    check_counts(queue)


def test_rounds_go_on_as_more_ends(queue: Queue) -> None:
    """
    The same worker, round after round; each time the newest are there and nothing else.
    """
    keeping = rounds(queue, job(keep=Keep(count=2)), job(REPORT, keep=Keep(count=1)))
    seen = []
    for _ in range(4):
        ended, reports = end(queue, 5), end(queue, 2, REPORT)
        keeping.round()
        queue.keep_up()
        seen.append((left(queue) == {task.id for task in ended[-2:]}, left(queue, REPORT) == {reports[-1].id}))

    assert [(True, True)] * 4 == seen
    check_counts(queue)


def test_days_of_which_nothing_is_left_are_forgotten(queue: Queue) -> None:
    """
    A worker that runs for years remembers the last ones alone.
    """
    walking = rounds(queue, job(keep=Keep(count=0)), job(REPORT, Keep(count=0)))
    for _ in range(5):
        end(queue, 2)
        end(queue, 2, REPORT)
        assert 4 == walking.round()
        queue.clock.advance(DAY)

    assert len(walking._places) <= 3


def test_a_job_that_says_nothing_costs_nothing(queue: Queue) -> None:
    """
    Without a keep the database is not even asked.
    """

    class Refusing:
        def run(self, *arguments: Any) -> Any:
            raise AssertionError("it was asked")

    end(queue, 2)

    assert 0 == RetentionRounds(Refusing(), [job()]).round()  # type: ignore[arg-type]  # nothing of it is used
    assert 2 == len(left(queue))


def test_several_workers_together_remove_no_more_than_one(queue: Queue) -> None:
    """
    As many are kept as were asked for, and counted, while more ends.
    """
    queue.enqueue_many([new_task() for _ in range(60)])
    for task in queue.claim(limit=60):
        queue.complete(task)

    def work(number: int) -> None:
        keeping = rounds(queue, job(keep=Keep(count=10)))
        for _ in range(5):
            keeping.round()
            queue.enqueue()
            for task in queue.claim():
                queue.complete(task)

    in_parallel(4, work)
    after = len(left(queue))
    last = rounds(queue, job(keep=Keep(count=10))).round()

    assert (after - 10, 10) == (last, len(left(queue)))
    assert after >= 10
    check_counts(queue)
