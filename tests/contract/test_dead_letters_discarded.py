"""Dead letters that are not to come back: discarded, purged, and what is kept of them on record and in exports."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.dead_letters.actions import LetterActionKind
from app.domain.dead_letters.errors import NotADeadLetter
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.unique import Unique
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.status import TaskStatus
from tests.contract.letters import Letters
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, a_task


@pytest.fixture
def letters(queue: Queue) -> Letters:
    """The dead letters of the queue, of which there are none."""
    return Letters(queue)


def test_a_discarded_letter_is_gone(letters: Letters) -> None:
    """
    What it was is returned, and nothing is left of it.
    """
    task = letters.die(message="nobody there")

    discarded = letters.discard(task)

    assert (task.id, "ValueError: nobody there") == (discarded.id, discarded.error)
    with pytest.raises(TaskNotFound):
        letters.queue.find(task)


def test_what_is_no_dead_letter_is_left_alone(letters: Letters) -> None:
    """
    Neither what waits nor what failed without being kept; and there must be such a task.
    """
    pending = letters.queue.enqueue()

    for verb in (letters.requeue, letters.discard):
        with pytest.raises(NotADeadLetter, match="no dead letter: it is pending"):
            verb(pending)
        with pytest.raises(TaskNotFound):
            verb(a_task())

    assert TaskStatus.PENDING is letters.queue.find(pending).status


def test_old_letters_are_purged(letters: Letters) -> None:
    """
    Those that died longer ago than said, and no others.
    """
    letters.die_many(3)
    letters.queue.clock.advance(86_400)
    young = letters.die()

    done = letters.purge(older_than=timedelta(hours=1))

    assert (3, [young.id]) == (done.done, letters.ids())


def test_upkeep_purges_in_batches(letters: Letters) -> None:
    """
    Each batch is one transaction; it is on record once it removed anything.
    """
    letters.die_many(5)
    letters.queue.clock.advance(100)

    removed = [letters.purge_some(99, batch=2) for _ in range(4)]

    assert [2, 2, 1, 0] == removed
    assert [("upkeep", 1), ("upkeep", 2), ("upkeep", 2)] == [(one.actor, one.done) for one in letters.actions()]


def test_everything_that_is_done_is_on_record(letters: Letters) -> None:
    """
    Who did what about which letters, and to how many; the newest first.
    """
    died = letters.die_many(6)
    letters.queue.clock.advance(60)

    letters.requeue(died[0], by="ada")
    letters.discard(died[1])
    letters.requeue_all(ids=[died[2].id, died[3].id], by="ada")
    letters.discard_all(reason="exhausted", ids=[died[4].id], by="bob")
    letters.export(by="eve", type="email:*")
    letters.purge(older_than=1, by="bob")

    actions = list(reversed(letters.actions()))
    assert [
        (LetterActionKind.REQUEUE, "ada", 1),
        (LetterActionKind.DISCARD, None, 1),
        (LetterActionKind.REQUEUE, "ada", 2),
        (LetterActionKind.DISCARD, "bob", 1),
        (LetterActionKind.EXPORT, "eve", 1),
        (LetterActionKind.PURGE, "bob", 1),
    ] == [(action.kind, action.actor, action.done) for action in actions]
    assert {"reason": "exhausted", "ids": [str(died[4].id)]} == actions[3].filter
    assert all(action.at == action.ended_at == letters.queue.clock.now() for action in actions)


def test_what_fails_is_not_on_record(letters: Letters) -> None:
    """
    The record is made in the transaction of what it records.
    """
    task = letters.die()

    def requeue_and_fail(tx: Any) -> None:
        from app.usecases.dead_letters.requeue import RequeueDeadLetter
        from tests.examples import new_ids

        RequeueDeadLetter(new_ids)(tx, task.id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        letters.queue.uow.run(requeue_and_fail)

    assert ([task.id], []) == (letters.ids(), letters.actions())


def test_an_export_has_all_that_is_known_as_json(letters: Letters) -> None:
    """
    Page by page, the latest death first, under the names of WorkerTask.
    """
    for index in range(205):
        letters.queue.enqueue(payload={"n": index})
    letters.kill(205, reason=DeathReason.REJECTED)

    exported = letters.export()

    assert set(range(205)) == {letter["payload"]["n"] for letter in exported}
    assert 205 == len({letter["id"] for letter in exported})
    first = exported[0]
    assert ("failed", "rejected", True, NOON.isoformat()) == (
        first["status"],
        first["reason"],
        first["is_dead_letter"],
        first["finished_at"],
    )
    assert ["no"] == [error["message"] for error in first["errors"]]


@pytest.mark.parametrize(("limit", "expected"), [(None, 200), (1, 1), (100, 100), (150, 150), (200, 200), (500, 200)])
def test_an_export_may_be_a_part(letters: Letters, limit: int | None, expected: int) -> None:
    """
    The latest so many; the record says just that many, and that it is through.
    """
    letters.die_many(200)

    exported = letters.export(limit=limit)

    [action] = letters.actions()
    assert (expected, expected, 200) == (len({letter["id"] for letter in exported}), action.done, action.total)
    assert action.ended_at is not None


def test_a_letter_that_comes_back_has_its_unique_key_again_unless_another_took_it(letters: Letters) -> None:
    """
    As with retry: who took it meanwhile keeps it, and both are there.
    """
    jobs = JobCatalog()
    jobs.define(EMAIL, unique=Unique())(lambda payload, context: None)
    letters.queue.jobs = jobs
    first = letters.die()

    letters.requeue(first)
    again = letters.queue.enqueue()
    letters.kill(1)
    second = letters.queue.enqueue()
    letters.requeue_all()

    assert (first.id, True) == (again.id, second.id != first.id)
    assert {first.id, second.id} == {task.id for task in letters.queue.newest(status="pending")}
    assert second.id == letters.queue.enqueue().id


def test_cleanup_takes_dead_letters_and_retry_revives_them(letters: Letters) -> None:
    """
    They are failed tasks like others to whoever does not care; neither is counted as a requeue.
    """
    kept, gone = letters.die_many(2)

    letters.queue.retry(kept)
    letters.queue.clock.advance(1)
    removed = letters.queue.cleanup(0.5)

    assert (1, [], 0) == (removed, letters.ids(), letters.queue.find(kept).requeues)
    with pytest.raises(TaskNotFound):
        letters.requeue(gone)
