"""Dead letters: found by what is known of them, put back as they were, discarded for good, and all of it on record."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.domain.dead_letters.actions import LetterActionKind
from app.domain.dead_letters.errors import DeadLetterLoop, NotADeadLetter
from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.unique import Unique
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.events import TaskRetried
from app.domain.tasks.status import TaskStatus
from tests.contract.letters import Letters
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT, a_task


@pytest.fixture
def letters(queue: Queue) -> Letters:
    """The dead letters of the queue, of which there are none."""
    return Letters(queue)


def test_a_task_that_ends_for_good_is_a_dead_letter_with_all_that_is_known(letters: Letters) -> None:
    """
    Payload, reason, and every error, the last one in one line.
    """
    task = letters.die(payload={"to": "x"}, max_attempts=1, reason=DeathReason.REJECTED, message="no such mailbox")

    [letter] = letters.page()

    assert (task.id, True, DeathReason.REJECTED) == (letter.id, letter.is_dead_letter, letter.reason)
    assert ({"to": "x"}, "ValueError: no such mailbox") == (letter.payload, letter.error)
    assert [(1, "no such mailbox")] == [(error.attempt, error.message) for error in letter.errors]


def test_letters_are_found_by_what_is_known_of_them(letters: Letters) -> None:
    """
    Each filter chooses its own, several those that all of them choose.
    """
    mail = letters.die("email:send", message="mailbox full").id
    letters.queue.clock.advance(60)
    filed = letters.die("email:digest", filed_under="post", reason=DeathReason.POISON).id
    letters.queue.clock.advance(60)
    report = letters.die("report:generate", queue="slow", message="no paper", reason=DeathReason.REJECTED).id
    chosen: list[tuple[list[Any], dict[str, Any]]] = [
        ([report, filed, mail], {}),
        ([filed, mail], {"type": "email:*"}),
        ([mail], {"type": "email:send"}),
        ([], {"type": "email"}),
        ([filed], {"queue": "post"}),
        ([mail], {"queue": "default"}),
        ([report], {"queue": "slow"}),
        ([filed], {"reason": "poison"}),
        ([report], {"reason": DeathReason.REJECTED}),
        ([mail], {"error": "mailbox"}),
        ([], {"error": "Mailbox"}),
        ([], {"error": "%"}),
        ([report, filed], {"died_after": NOON + timedelta(seconds=60)}),
        ([mail], {"died_before": NOON + timedelta(seconds=60)}),
        ([filed], {"died_after": NOON + timedelta(seconds=60), "died_before": NOON + timedelta(seconds=61)}),
        ([report, mail], {"ids": [mail, str(report), uuid4()]}),
        ([], {"ids": []}),
        ([filed], {"type": "email:*", "reason": "poison", "error": "no"}),
    ]

    assert [expected for expected, _ in chosen] == [letters.ids(**which) for _, which in chosen]
    assert [len(expected) for expected, _ in chosen] == [letters.count(**which).total for _, which in chosen]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", ""),
        ("queue", "a*"),
        ("reason", "bored"),
        ("error", ""),
        ("error", "a\0b"),
        ("died_after", datetime(2026, 1, 1)),  # noqa: DTZ001  # which is the point
        ("died_before", "yesterday"),
        ("ids", "abc"),
        ("ids", ["abc"]),
        ("tenant", "a"),
        ("limit", 0),
        ("limit", 10_001),
        ("after", "abc"),
    ],
)
def test_what_chooses_nothing_is_refused(letters: Letters, field: str, value: Any) -> None:
    """
    The error names the field and says what is allowed.
    """
    with pytest.raises(InvalidInput) as refused:
        letters.ids(**{field: value})

    assert refused.value.field.startswith("task_id" if value == ["abc"] else field)


def test_pages_stay_put_while_letters_come_and_go(letters: Letters) -> None:
    """
    What dies meanwhile moves nothing, and the last letter of a page may be gone when the next one is asked for.
    """
    died = []
    for _ in range(6):
        died.append(letters.die())
        letters.queue.clock.advance(1)
    newest = [task.id for task in reversed(died)]

    first = letters.page(limit=2)
    letters.die()
    letters.requeue(first[-1])
    letters.discard(died[3])
    second = letters.page(limit=2, after=first[-1])
    third = letters.page(limit=2, after=second[-1])

    assert newest[:2] == [letter.id for letter in first]
    assert [died[2].id, died[1].id] == [letter.id for letter in second]
    assert [died[0].id] == [letter.id for letter in third]


def test_letters_of_one_moment_are_in_an_order_of_their_own(letters: Letters) -> None:
    """
    A whole batch dies at once; paging through it brings each of them once.
    """
    died = {task.id for task in letters.die_many(7)}
    seen = []
    page = letters.page(limit=3)
    while page:
        seen += [letter.id for letter in page]
        page = letters.page(limit=3, after=page[-1])

    assert (7, died) == (len(seen), set(seen))


def test_letters_are_counted_by_type_and_reason(letters: Letters) -> None:
    """
    How many, from when to when, and how many of them would be stopped by the guard.
    """
    letters.die_many(2, message="full")
    letters.queue.clock.advance(10)
    letters.die(reason=DeathReason.POISON)
    looping = letters.die(REPORT)
    letters.die_again(looping, times=2)

    summary = letters.count()

    assert [
        (EMAIL, DeathReason.EXHAUSTED, 2, NOON, NOON, 0),
        (EMAIL, DeathReason.POISON, 1, NOON + timedelta(seconds=10), NOON + timedelta(seconds=10), 0),
        (REPORT, DeathReason.EXHAUSTED, 1, NOON + timedelta(seconds=12), NOON + timedelta(seconds=12), 1),
    ] == [
        (group.type, group.reason, group.number, group.oldest, group.newest, group.looping) for group in summary.groups
    ]
    assert (4, 1, NOON, NOON + timedelta(seconds=12)) == (
        summary.total,
        summary.looping,
        summary.oldest,
        summary.newest,
    )


def test_a_requeued_letter_is_the_same_task_as_if_it_were_new(letters: Letters) -> None:
    """
    Its id, its payload and its errors stay; it is due now, with its whole budget, and counts that it came back.
    """
    task = letters.die(expires_at=NOON + timedelta(hours=1), payload={"to": "x"}, max_attempts=2)
    letters.queue.clock.advance(7200)

    letters.requeue(task)

    found = letters.queue.find(task)
    assert (TaskStatus.PENDING, 0, 2, NOON + timedelta(hours=2)) == (
        found.status,
        found.attempts,
        found.max_attempts,
        found.scheduled_at,
    )
    assert (None, None, None, False, None) == (
        found.reason,
        found.expires_at,
        found.finished_at,
        found.is_dead_letter,
        found.worker_id,
    )
    assert ({"to": "x"}, 1, 1) == (found.payload, len(found.errors), found.requeues)
    [again] = letters.kill(1)
    assert (task.id, 1, task.lease_seq + 1) == (again.id, again.attempts, again.lease_seq)


def test_bulk_puts_back_just_what_one_by_one_does(letters: Letters) -> None:
    """
    The two ways leave tasks that are alike in everything.
    """
    expires_at = NOON + timedelta(hours=1)
    one, many = letters.die_many(
        2, max_attempts=2, priority=3, tags=["a"], correlation_id="c", expires_at=expires_at, filed_under="post"
    )

    letters.requeue(one)
    done = letters.requeue_all(type="email:*")

    one, many = letters.queue.find(one), letters.queue.find(many)
    names = [name for name in type(one).__slots__ if name not in ("id", "errors")]
    assert (1, 0, None) == (done.done, done.skipped, done.task_id)
    assert [getattr(one, name) for name in names] == [getattr(many, name) for name in names]
    assert letters.queue.uow.run(lambda tx: tx.tasks.next_due_in(_request())) == 0


def test_counts_follow_what_is_requeued_and_discarded(letters: Letters) -> None:
    """
    What leaves the shelf leaves the statistics of what has ended, too.
    """
    died = letters.die_many(5)
    expired = letters.queue.enqueue(EMAIL, ttl=1)
    letters.queue.clock.advance(2)
    letters.queue.expire()
    before = letters.queue.stats()

    letters.requeue(died[0])
    letters.discard(died[1])
    letters.requeue_all(ids=[died[2].id, expired.id])
    letters.discard_all(ids=[died[3].id])

    after = letters.queue.stats()
    assert (5, 1, 0) == (before.failed, before.cancelled, before.pending)
    assert (1, 0, 3, 4) == (after.failed, after.cancelled, after.pending, after.total)
    assert letters.queue.find(expired).reason is None


def test_workers_hear_of_what_is_requeued(letters: Letters) -> None:
    """
    As of any task that an operator makes due again.
    """
    one, many = letters.die_many(2)
    letters.queue.events.clear()

    letters.requeue(one)
    letters.requeue_all()

    told = [event for event in letters.queue.events if isinstance(event, TaskRetried)]
    assert [(one.id, True, 1), (many.id, True, 1)] == [
        (event.task.id, event.manual, event.task.requeues) for event in told
    ]


def test_the_third_round_is_stopped(letters: Letters) -> None:
    """
    The refusal says which, how often, and what to do; nothing changes.
    """
    task = letters.die()
    letters.die_again(task, times=2)

    with pytest.raises(DeadLetterLoop, match=r"requeued 2 times already.*--force") as refused:
        letters.requeue(task)

    assert (task.id, 2) == (refused.value.task_id, refused.value.requeues)
    assert [task.id] == letters.ids()


def test_whoever_insists_gets_a_third_round(letters: Letters) -> None:
    """
    With force, by id and in bulk; each is one more.
    """
    one, many = letters.die(), letters.die(REPORT)
    for task in (one, many):
        letters.die_again(task, times=2)

    letters.requeue(one, force=True)
    done = letters.requeue_all(force=True)

    assert (1, 0) == (done.done, done.skipped)
    assert [3, 3] == [letters.queue.find(task).requeues for task in (one, many)]


def test_bulk_leaves_what_goes_round_in_circles_and_says_so(letters: Letters) -> None:
    """
    The others are put back; a preview had said it before.
    """
    letters.die_again(looping := letters.die(), times=2)
    other = letters.die()

    previewed = letters.requeue_all(preview=True)
    done = letters.requeue_all()

    assert (0, 1, 2, None) == (previewed.done, previewed.skipped, previewed.summary.total, previewed.action)
    assert (1, 1) == (done.done, done.skipped)
    assert ([looping.id], TaskStatus.PENDING) == (letters.ids(), letters.queue.find(other).status)


def test_a_preview_changes_nothing(letters: Letters) -> None:
    """
    Not even the record of who did what.
    """
    letters.die_many(2)

    previews = letters.requeue_all(preview=True), letters.discard_all(preview=True)

    assert [2, 2] == [one.summary.total for one in previews]
    assert (2, []) == (letters.count().total, letters.actions())


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


def _request() -> Any:
    from tests.contract.subject import request

    return request()
