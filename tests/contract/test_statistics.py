"""What people ask: counts, one task, lists by filter."""

from dataclasses import astuple
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.durations import MAX_ERROR
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.statistics import Grouping, GroupStats, TaskStats
from app.domain.tasks.status import TaskStatus
from tests.contract.subject import Queue
from tests.examples import EMAIL, REPORT, a_task, new_task

TYPES = ["email:send", "email:digest", "e-mail", "100%", "100 percent", "a_b", "axb", "a\\b", "a\\\\b", "E:x", "ünï"]


def test_an_empty_queue_counts_nothing(queue: Queue) -> None:
    """
    Every status has its zero.
    """
    stats = queue.stats()

    assert (TaskStats(), 0) == (stats, stats.total)


def test_tasks_are_counted_by_status(queue: Queue) -> None:
    """
    The counts add up to the total.
    """
    queue.register()
    queue.enqueue_many([new_task() for _ in range(10)])
    for task in queue.claim(limit=2):
        queue.complete(task)
    queue.fail(queue.claim_one())
    queue.claim(limit=3)
    queue.cancel(queue.newest(status="pending", limit=1)[0])

    stats = queue.stats()

    assert TaskStats(pending=3, running=3, completed=2, failed=1, cancelled=1) == stats
    assert 10 == stats.total == sum(astuple(stats))


def test_a_task_is_found_by_its_id(queue: Queue) -> None:
    """
    Found is the task itself; of an unknown id there is none.
    """
    task = queue.enqueue()
    unknown = a_task()

    with pytest.raises(TaskNotFound) as missing:
        queue.find(unknown)

    assert (task.id, unknown.id) == (queue.find(task).id, missing.value.task_id)


def test_the_newest_tasks_are_listed_first(queue: Queue) -> None:
    """
    At most as many as asked for, whatever their priority and schedule.
    """
    tasks = queue.enqueue_many([new_task(priority=number, delay=1000 - number) for number in range(60)])
    queue.clock.advance(1)
    tasks.append(queue.enqueue())

    listed, unsaid, all_of_them = queue.newest(limit=3), queue.newest(), queue.newest(limit=10_000)

    newest = [task.id for task in reversed(tasks)]
    assert newest[:3] == [task.id for task in listed]
    assert newest[:50] == [task.id for task in unsaid]
    assert newest == [task.id for task in all_of_them]


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_list_can_be_of_one_status(queue: Queue, status: TaskStatus) -> None:
    """
    Given as the status or as its text.
    """
    queue.register()
    queue.enqueue_many([new_task() for _ in range(5)])
    completed, failed, cancelled, _ = queue.claim(limit=4)
    queue.complete(completed)
    queue.fail(failed)
    queue.fail(cancelled)
    queue.retry(cancelled)
    queue.cancel(cancelled)

    listed = queue.newest(status=status)

    assert [status] * (0 if status is TaskStatus.BLOCKED else 1) == [task.status for task in listed]
    assert [task.id for task in listed] == [task.id for task in queue.newest(status=status.value)]


def test_a_list_can_be_of_one_queue(queue: Queue) -> None:
    """
    By its exact name; wildcards are for types.
    """
    queue.enqueue(queue="mail")
    queue.enqueue(queue="mails")
    task = queue.enqueue(queue="mail", type=REPORT)

    listed = queue.newest(queue="mail", type="report:*")

    assert [task.id] == [one.id for one in listed]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("email:send", ["email:send"]),
        ("email:*", ["email:send", "email:digest"]),
        ("e*il*", ["email:send", "email:digest", "e-mail"]),
        ("*:send", ["email:send"]),
        ("*", TYPES),
        ("**", TYPES),
        ("100%", ["100%"]),
        ("100%*", ["100%"]),
        ("a_b", ["a_b"]),
        ("a\\b", ["a\\b"]),
        ("a\\\\b", ["a\\\\b"]),
        ("a\\*", ["a\\b", "a\\\\b"]),
        ("a*b", ["a_b", "axb", "a\\b", "a\\\\b"]),
        ("email", []),
        ("EMAIL:*", []),
        ("ü*", ["ünï"]),
        (".*", []),
        ("[ae]*", []),
    ],
)
def test_only_the_star_is_a_wildcard(queue: Queue, pattern: str, expected: list[str]) -> None:
    """
    Percent sign, underscore, backslash and brackets stand for themselves, and case matters.
    """
    queue.enqueue_many([new_task(type) for type in TYPES])

    listed = queue.newest(type=pattern)

    assert sorted(expected) == sorted(task.type for task in listed)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"status": "done"}, "status"),
        ({"status": ""}, "status"),
        ({"type": ""}, "type"),
        ({"type": "a\0b"}, "type"),
        ({"queue": "mail*"}, "queue"),
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"limit": True}, "limit"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(queue: Queue, asked: dict[str, Any], field: str) -> None:
    """
    The error names the field.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.newest(**asked)

    assert field == refused.value.field


@pytest.mark.parametrize("by", list(Grouping))
def test_tasks_are_counted_by_type_and_by_queue(queue: Queue, by: Grouping) -> None:
    """
    Every task in one group, in the order of their names; durations are those of the completed ones.
    """
    queue.register()
    queue.enqueue_many([new_task(**{by: "b"}) for _ in range(3)])
    [quick, slow, failed] = queue.claim(types=(EMAIL, "b"), limit=3)
    queue.clock.advance(1)
    queue.complete(quick)
    queue.clock.advance(99)
    queue.complete(slow)
    queue.fail(failed)
    queue.enqueue_many([new_task(**{by: "a"}), new_task(**{by: "b"})])

    [a, b] = queue.breakdown(by)

    assert GroupStats(name="a", stats=TaskStats(pending=1)) == a
    assert ("b", TaskStats(pending=1, completed=2, failed=1)) == (b.name, b.stats)
    assert pytest.approx([1, 100], rel=MAX_ERROR) == [b.p50, b.p95]
    assert [a, b] == queue.breakdown(by.value)


def test_a_group_whose_tasks_are_gone_is_not_told_of(queue: Queue) -> None:
    """
    Neither with counts of zero nor with durations.
    """
    queue.register()
    queue.enqueue()
    queue.complete(queue.claim_one())
    queue.clock.advance(10)
    queue.cleanup(5)

    assert [] == queue.breakdown()


def test_a_task_that_ends_twice_is_counted_once(queue: Queue) -> None:
    """
    A retried task is taken out of the counts until it ends again.
    """
    queue.register()
    queue.enqueue()
    queue.fail(task := queue.claim_one())
    failed = queue.stats()
    queue.retry(task)
    retried = queue.stats()
    queue.complete(queue.claim_one())

    assert [TaskStats(failed=1), TaskStats(pending=1), TaskStats(completed=1)] == [failed, retried, queue.stats()]


def test_a_grouping_that_cannot_be_meant_is_refused(queue: Queue) -> None:
    """
    By anything but type and queue.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.breakdown("worker")

    assert "by" == refused.value.field
