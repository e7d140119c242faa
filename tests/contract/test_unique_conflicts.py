"""Unique tasks that are not merely dropped: refused, replaced, or put off."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.uniques import TaskNotUnique
from tests.contract.subject import Queue
from tests.contract.uniques import is_new, sync, unique
from tests.examples import EMAIL, NOON


def test_who_wants_no_other_is_told_of_it(queue: Queue) -> None:
    """
    With the task that is in the way, and nothing of the call is stored.
    """
    unique(queue, on_conflict="raise")
    [first] = queue.enqueue_many([sync()])

    with pytest.raises(TaskNotUnique, match=str(first.id)) as refused:
        queue.enqueue_many([sync(2), sync(1)])
    with pytest.raises(InvalidInput, match=r"unique\.key: job 'email:send'.*twice"):
        queue.enqueue_many([sync(3), sync(3)])

    assert (first.id, EMAIL) == (refused.value.existing.id, refused.value.type)
    assert 1 == queue.stats().total
    assert is_new(queue.enqueue_many([sync(3)])[0])


CHANGED: dict[str, Any] = {
    "queue": "fast",
    "priority": 7,
    "max_attempts": 9,
    "timeout": 5.0,
    "correlation_id": "req-2",
    "tags": ("new",),
}


def test_a_task_that_has_not_begun_is_replaced(queue: Queue) -> None:
    """
    It keeps its id and its past, and everything else is as the second one says.
    """
    unique(queue, on_conflict="replace")
    queue.register()
    queue.enqueue_many([sync(note="first", tags=["old"], correlation_id="req-1", timeout=1)])
    queue.fail_and_retry(queue.claim_one(), delay=1000)
    queue.clock.advance(10)

    [second] = queue.enqueue_many([sync(note="second", **CHANGED)])

    found = queue.find(second)
    assert CHANGED == {name: getattr(found, name) for name in CHANGED}
    assert CHANGED == {name: getattr(second, name) for name in CHANGED}
    assert ("second", 1, 1, NOON) == (found.payload["note"], found.attempts, len(found.errors), found.created_at)
    assert (False, 1, ["created"]) == (is_new(second), queue.stats().total, queue.told[:1])
    assert queue.clock.now() == found.scheduled_at
    assert [second.id] == [task.id for task in queue.claim()]


def test_how_far_the_old_payload_came_is_not_said_of_the_new_one(queue: Queue) -> None:
    """
    Neither its progress nor its checkpoint.
    """
    unique(queue, on_conflict="replace")
    queue.register()
    queue.enqueue_many([sync(note="first")])
    claimed = queue.claim_one()
    queue.report(claimed, 40, "4 of 10")
    queue.save(claimed, [4])
    queue.fail_and_retry(claimed)
    before = queue.find(claimed)

    [second] = queue.enqueue_many([sync(note="second")])

    assert (40, "4 of 10", [4]) == (before.progress, before.progress_message, before.checkpoint)
    for task in (second, queue.find(second)):
        assert (None, None, None) == (task.progress, task.progress_message, task.checkpoint)


def test_replacing_says_when_it_is_due(queue: Queue) -> None:
    """
    After its delay, or at its moment; without them it is due at once, and one that is due keeps its place.
    """
    unique(queue, on_conflict="replace")
    scheduled = []

    for asked in ({"delay": 50}, {"scheduled_at": NOON + timedelta(days=1)}, {}, {}):
        [task] = queue.enqueue_many([sync(**asked)])
        scheduled.append((task.scheduled_at - NOON).total_seconds())
        queue.clock.advance(1)
    [waiting] = queue.enqueue_many([sync(delay=100)])
    queue.register()

    assert [50.0, 86400.0, 2.0, 2.0] == scheduled
    assert 104.0 == (queue.find(waiting).scheduled_at - NOON).total_seconds()
    assert [] == queue.claim()
    assert 100.0 == queue.next_due_in()


def test_a_running_task_is_not_replaced(queue: Queue) -> None:
    """
    It is returned as it is.
    """
    for on_conflict in ("replace", "debounce"):
        unique(queue, on_conflict, on_conflict=on_conflict)
    queue.register(types=("replace", "debounce"))
    queue.enqueue_many([sync(type="replace", note="first"), sync(type="debounce", note="first")])
    running = queue.claim(types=("replace", "debounce"), limit=2)

    tasks = queue.enqueue_many([sync(type=type, note="second") for type in ("replace", "debounce")])

    assert {task.id for task in running} == {task.id for task in tasks}
    assert ["first", "first"] == [queue.find(task).payload["note"] for task in tasks]
    assert all(queue.complete(task) for task in running)


def test_a_task_of_another_type_is_not_replaced(queue: Queue) -> None:
    """
    Of jobs that share a namespace, none can run the payload of another.
    """
    unique(queue, "a", namespace="users")
    unique(queue, "b", namespace="users", on_conflict="replace")
    [first] = queue.enqueue_many([sync(type="a", note="first")])

    [second] = queue.enqueue_many([sync(type="b", note="second")])

    assert (first.id, "a", "first") == (second.id, queue.find(second).type, queue.find(second).payload["note"])


def test_each_call_postpones_what_is_debounced(queue: Queue) -> None:
    """
    Its delay begins anew, and the last payload is the one that is run.
    """
    unique(queue, on_conflict="debounce")
    queue.register()
    claimed = []

    for note in ("first", "second", "third"):
        queue.enqueue_many([sync(note=note, delay=10)])
        queue.clock.advance(9)
        claimed += queue.claim()
    queue.clock.advance(1)
    [task] = queue.claim()

    assert ([], "third", 1) == (claimed, task.payload["note"], queue.stats().total)
    assert NOON + timedelta(seconds=28) == task.scheduled_at


def test_debouncing_without_a_delay_gives_up_the_place(queue: Queue) -> None:
    """
    Unlike replacing.
    """
    unique(queue, on_conflict="debounce")
    queue.enqueue_many([sync()])
    queue.clock.advance(5)

    [again] = queue.enqueue_many([sync()])

    assert NOON + timedelta(seconds=5) == queue.find(again).scheduled_at
