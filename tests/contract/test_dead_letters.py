"""Dead letters: found by what is known of them, put back as they were, discarded for good, and all of it on record."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.deaths import DeathReason
from tests.contract.letters import Letters
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT


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
