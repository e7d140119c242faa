"""Many dead letters: a task works through them in chunks, whatever happens between two of these."""

from typing import Any

import pytest

from app.domain.dead_letters.actions import WORK
from app.domain.dead_letters.errors import NobodyServes
from app.domain.jobs.answers import PayloadInvalid, Snooze
from app.domain.jobs.context import TaskContext
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import SettleTasks
from tests.contract.letters import Letters
from tests.contract.subject import Queue
from tests.examples import EMAIL, REPORT, a_running_task


@pytest.fixture
def letters(queue: Queue) -> Letters:
    """The dead letters of the queue; two at most are dealt with at once."""
    return Letters(queue, at_once=2)


def alive(letters: Letters) -> list[WorkerTask]:
    return [task for task in letters.queue.newest(status="pending", limit=1_000) if task.type != WORK]


def test_many_are_left_to_a_task(letters: Letters) -> None:
    """
    Nothing is done yet but that it is on record, with the task that will do it.
    """
    letters.die_many(3)

    asked = letters.requeue_all(by="ada")

    [action] = letters.actions()
    [task] = letters.queue.newest(type=WORK)
    assert (task.id, task.id, "ada", 3, 0, None) == (
        asked.task_id,
        action.task_id,
        action.actor,
        action.total,
        action.done,
        action.ended_at,
    )
    assert (3, "default", {"action": str(action.id), "rate": None}) == (letters.count().total, task.queue, task.payload)


def test_the_task_works_through_all_of_them_in_chunks(letters: Letters) -> None:
    """
    Each chunk raises the record in its own transaction; at the end all is back, once.
    """
    died = {task.id for task in letters.die_many(7)}
    letters.queue.clock.advance(1)
    letters.requeue_all()
    seen: list[tuple[int, int]] = []

    class Context(TaskContext):
        def progress(self, percent: float, message: str | None = None) -> None:
            seen.append((round(percent), letters.actions()[0].done))

    answer = letters.work(chunk=3, context=Context(a_running_task(), "w"))

    assert {"done": 7, "skipped": 0, "total": 7} == answer
    assert [(43, 3), (86, 6), (100, 7)] == seen
    assert (died, [1] * 7) == ({task.id for task in alive(letters)}, [task.requeues for task in alive(letters)])
    assert letters.actions()[0].ended_at is not None


def test_discarding_many_works_the_same_way(letters: Letters) -> None:
    """
    And so does a purge.
    """
    letters.die_many(3)
    letters.queue.clock.advance(10)
    letters.die_many(3, REPORT)
    letters.queue.clock.advance(1)

    letters.discard_all(type=REPORT)
    discarded = letters.work(chunk=2)
    letters.queue.uow.run(_forget_work)
    letters.purge(older_than=5)
    purged = letters.work(chunk=2)

    assert ({"done": 3, "skipped": 0, "total": 3},) * 2 == (discarded, purged)
    assert 0 == letters.count().total


def test_what_dies_again_meanwhile_is_not_taken_twice(letters: Letters) -> None:
    """
    The letters are those that were dead when it was asked.
    """
    letters.die_many(4)
    letters.queue.clock.advance(1)
    letters.requeue_all(type=EMAIL)
    killed = 0

    class Context(TaskContext):
        def progress(self, percent: float, message: str | None = None) -> None:
            nonlocal killed
            letters.queue.clock.advance(1)
            killed += len(letters.kill(2))

    answer = letters.work(chunk=2, context=Context(a_running_task(), "w"))

    assert ({"done": 4, "skipped": 0, "total": 4}, 4) == (answer, killed)
    assert [1, 1, 1, 1] == [letter.requeues for letter in letters.page()]


def test_a_task_that_is_stopped_gives_itself_back_and_the_next_attempt_goes_on(letters: Letters) -> None:
    """
    Between two chunks, with no attempt spent; what is left is its place.
    """
    letters.die_many(5)
    letters.queue.clock.advance(1)
    letters.requeue_all()
    task = letters.claim_work()
    stopping = TaskContext(task, "w", shutting_down=lambda: True)

    with pytest.raises(Snooze) as stopped:
        _work(letters, task, stopping)
    done = letters.actions()[0].done
    answer = _work(letters, task, TaskContext(task, "w"))

    assert (0, 2) == (stopped.value.delay, done)
    assert ({"done": 5, "skipped": 0, "total": 5}, 5) == (answer, len(alive(letters)))
    assert answer == _work(letters, task, TaskContext(task, "w")), "a third attempt finds that all is done"


def test_the_rate_is_kept(letters: Letters) -> None:
    """
    So many letters a second, by a clock that goes on while it waits, and in chunks no larger than that.
    """
    letters.die_many(10)
    letters.queue.clock.advance(1)
    letters.requeue_all(rate=4)
    now, waits = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waits.append(seconds)

    letters.work(clock=lambda: now, sleep=sleep)

    assert (2.5, 0.5) == (now, max(waits))


def test_a_rate_makes_a_task_of_few_letters_too(letters: Letters) -> None:
    """
    Of more than go in a second.
    """
    letters.die_many(2)

    assert letters.requeue_all(rate=1, preview=True).task_id is None
    assert letters.requeue_all(rate=1).task_id is not None
    assert letters.requeue_all(rate=2).done == 2


def test_nothing_is_done_if_nobody_would_do_it_and_that_was_asked(letters: Letters) -> None:
    """
    Neither a task nor a record is left, and what needs no task is done all the same.
    """
    died = letters.die_many(3)
    verbs: list[Any] = [letters.requeue_all, letters.discard_all, lambda **asked: letters.purge(older_than=0, **asked)]
    letters.queue.clock.advance(1)

    for verb in verbs:
        with pytest.raises(NobodyServes, match=r"3 dead letter.*--here"):
            verb(only_if_served=True)
    nothing = (letters.actions(), letters.queue.newest(type=WORK))
    few = letters.requeue_all(only_if_served=True, ids=[died[0].id])
    letters.die_many(3, REPORT)
    letters.queue.register("a", types=(WORK,))
    many = letters.discard_all(only_if_served=True)

    assert ([], []) == nothing
    assert (1, True) == (few.done, many.task_id is not None)


def test_where_an_action_stands_is_read_from_its_task_too(letters: Letters) -> None:
    """
    Waiting, under way, cancelled, failed, gone and done: nothing that has ended is under way for ever.
    """
    letters.die_many(3)
    letters.queue.clock.advance(1)
    letters.requeue_all()
    waiting = letters.actions()[0].state
    task = letters.claim_work()
    under_way = letters.actions()[0].state
    letters.queue.uow.run(SettleTasks(), [Settlement(task, Failed(Failure("builtins.OSError", "no")))])
    failed = letters.actions()[0].state
    [task] = letters.queue.newest(type=WORK)
    letters.queue.retry(task)
    letters.queue.cancel(task)
    cancelled = letters.actions()[0].state
    letters.queue.clock.advance(10)
    letters.queue.cleanup(5)
    gone = letters.actions()[0].state
    letters.die_many(3)
    letters.queue.clock.advance(1)
    letters.discard_all()
    letters.work()

    assert ["waiting", "under way", "failed", "cancelled", "gone"] == [waiting, under_way, failed, cancelled, gone]
    assert "done" == letters.actions()[0].state


@pytest.mark.parametrize("rate", [0, -1, float("nan"), "fast", True])
def test_a_rate_that_is_none_is_refused(letters: Letters, rate: Any) -> None:
    """
    The error names it.
    """
    with pytest.raises(ValueError, match=r"^rate: "):
        letters.requeue_all(rate=rate)


def test_circles_are_left_and_counted_at_the_end(letters: Letters) -> None:
    """
    As by a call that does it at once.
    """
    letters.die_again(letters.die(), times=2)
    letters.die_many(3, REPORT)
    letters.queue.clock.advance(1)
    letters.requeue_all()

    answer = letters.work(chunk=2)

    assert {"done": 3, "skipped": 1, "total": 4} == answer
    assert (3, 1) == (letters.actions()[0].done, letters.actions()[0].skipped)


def test_the_task_goes_where_somebody_will_take_it(letters: Letters) -> None:
    """
    To the usual queue, unless those who are alive and know such tasks all look at other queues.
    """
    letters.die_many(3)
    letters.queue.register("a", types=(WORK,), queues=("slow", "mail"))
    restricted = letters.requeue_all()
    letters.queue.register("b", types=(WORK,))
    served = letters.requeue_all()

    queues = {task.id: task.queue for task in letters.queue.newest(type=WORK)}
    assert ["mail", "default"] == [queues[asked.task_id or task_id] for asked, task_id in _pairs(restricted, served)]


def test_a_payload_that_names_no_action_is_refused(letters: Letters) -> None:
    """
    For good: the next attempt would know no more.
    """
    task = a_running_task(type=WORK)
    for payload in ({}, None, {"action": "x", "rate": None}, {"action": str(task.id), "rate": None}):
        task.payload = payload
        with pytest.raises(PayloadInvalid):
            _work(letters, task, TaskContext(task, "w"))


def test_the_task_of_a_bulk_action_is_one_as_any(letters: Letters) -> None:
    """
    It can be cancelled while it waits, and its record says that it was never done.
    """
    letters.die_many(3)
    asked = letters.requeue_all()
    [task] = letters.queue.newest(type=WORK)

    letters.queue.cancel(task)

    assert (TaskStatus.CANCELLED, 0, None) == (
        letters.queue.find(task).status,
        letters.actions()[0].done,
        letters.actions()[0].ended_at,
    )
    assert asked.task_id == task.id


def _work(letters: Letters, task: WorkerTask, context: TaskContext) -> dict[str, int]:
    from app.worker.dead_letters import LetterWork

    work = LetterWork(lambda: letters.queue.uow, chunk=2, sleep=lambda seconds: None)
    return work.run(task.payload, context)


def _pairs(*asked: Any) -> list[tuple[Any, Any]]:
    return [(one, None) for one in asked]


def _forget_work(tx: Any) -> None:
    """End the claimed task of the last action, so that the next one can be claimed."""
    from app.domain.tasks.outcomes import Released
    from app.domain.tasks.repository import Settlement

    held = tx.tasks.held_by("w-letters")
    tx.tasks.settle([Settlement(task, Released()) for task in held])
    for task in tx.tasks.lock([task.id for task in held]):
        task.cancel(now=tx.now())
        tx.tasks.save([task])
