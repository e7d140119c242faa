"""Enqueue: what is stored is what was asked for, one or ten thousand at a time."""

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.new import NewTask
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.enqueue import EnqueueTask
from tests.contract.subject import Queue
from tests.examples import NOON, new_task

PAYLOADS: dict[str, Any] = {
    "nested": {"a": [{"b": [[], {}, [None]]}], "c": {"": {"d": "e"}}},
    "unicode": {"Ωμέγα 🐘": "\u2028\x7f\x1f\t\"\\/'{}%_\ufeff\uffff"},
    "what looks like an escape": "\\u0000 \\ud800",
    "big integers": [2**63, -(2**64), 10**400, 0],
    "floats": [1e22, -0.0, 1e-300, 0.1, 1.7976931348623157e308, 5e-324, 1e23, 1.0],
    "booleans beside numbers": [True, 1, False, 0],
    "an empty object": {},
    "an empty list": [],
    "empty text": "",
    "nothing": None,
    "text": "just text",
    "a number": 7,
    "deep": json.loads("[" * 128 + "]" * 128),
    "keys in no order": {"b": 1, "a": 2, "aa": 3, "10": 4, "9": 5},
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_payload_comes_back_as_it_was_given(queue: Queue, payload: Any) -> None:
    """
    The same value, of the same types and in the same order, from the enqueueing, a read and a claim.
    """
    queue.register()

    task = queue.enqueue(payload=payload)

    for seen in (task, queue.find(task), queue.claim_one()):
        assert repr(payload) == repr(seen.payload)


@pytest.mark.parametrize("result", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_result_comes_back_as_it_was_given(queue: Queue, result: Any) -> None:
    """
    What a handler returns is stored like a payload.
    """
    queue.register()
    queue.enqueue()

    queue.complete(task := queue.claim_one(), result)

    assert repr(result) == repr(queue.find(task).result)


def test_tuples_come_back_as_lists(queue: Queue) -> None:
    """
    JSON has one kind of row, in memory too.
    """
    task = queue.enqueue(payload={"pair": (1, (2, 3))})

    assert {"pair": [1, [2, 3]]} == task.payload == queue.find(task).payload


def test_a_payload_is_taken_when_it_is_given(queue: Queue) -> None:
    """
    Neither the caller's dict nor a handed out copy is a way into the store.
    """
    queue.register()
    given = {"to": ["ada"]}
    task = queue.enqueue(payload=given)

    given["to"].append("eve")
    task.payload["to"].append("eve")
    queue.find(task).payload["to"].append("eve")
    queue.claim_one().payload["to"].append("eve")
    queue.find(task).errors.append(None)  # type: ignore[arg-type]  # a vandal does not check types

    assert ({"to": ["ada"]}, []) == ((found := queue.find(task)).payload, found.errors)


def test_a_new_task_has_the_defaults(queue: Queue) -> None:
    """
    What the caller leaves unsaid is the default queue, priority zero, three attempts, due now.
    """
    task = queue.uow.run(EnqueueTask(queue.enqueueing), type="email:send")

    for one in (task, queue.find(task)):
        assert ("email:send", {}, "default", 0, TaskStatus.PENDING, 0, 3) == (
            one.type,
            one.payload,
            one.queue,
            one.priority,
            one.status,
            one.attempts,
            one.max_attempts,
        )
        assert (NOON, NOON, None, None, 0) == (
            one.created_at,
            one.scheduled_at,
            one.started_at,
            one.timeout,
            one.lease_seq,
        )
        assert (None, None, (), None, [], None) == (
            one.worker_id,
            one.correlation_id,
            one.tags,
            one.result,
            one.errors,
            one.progress,
        )


def test_a_new_task_has_what_was_asked_for(queue: Queue) -> None:
    """
    Every parameter of the enqueueing is stored, whatever characters it holds.
    """
    tags = ["", "a,b", '"quoted"', "{braces}", "back\\slash", "NULL", "ünï 🐘", "*", " "]
    tags = [tag for tag in tags if tag]
    task = queue.enqueue(
        "rapport: générer%_\\",
        queue="ключ",
        priority=-(2**31),
        max_attempts=2**31 - 1,
        timeout=timedelta(milliseconds=1500),
        correlation_id="order *7*",
        tags=tags,
    )

    for one in (task, queue.find(task)):
        assert ("rapport: générer%_\\", "ключ", -(2**31)) == (one.type, one.queue, one.priority)
        assert (2**31 - 1, 1.5, "order *7*", tuple(tags)) == (
            one.max_attempts,
            one.timeout,
            one.correlation_id,
            one.tags,
        )


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1900, 1, 2, tzinfo=UTC),
        datetime(9990, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 7, 1, 3, 0, 0, 1, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
    ],
)
def test_any_moment_can_be_scheduled(queue: Queue, moment: datetime) -> None:
    """
    A moment of any zone, to the microsecond, from the first year to the last.
    """
    task = queue.enqueue(scheduled_at=moment)

    assert moment == task.scheduled_at == queue.find(task).scheduled_at


def test_a_task_may_wait_a_hundred_years(queue: Queue) -> None:
    """
    The longest delay that is allowed is one the queue can hold.
    """
    years = timedelta(days=100 * 365)

    task = queue.enqueue(delay=years)

    assert NOON + years == queue.find(task).scheduled_at
    assert years.total_seconds() == queue.next_due_in()


def test_ten_thousand_tasks_are_stored_in_order(queue: Queue) -> None:
    """
    They are returned, numbered and claimed in the order given.
    """
    queue.register()

    tasks = queue.enqueue_many(new_task(payload=number) for number in range(10_000))

    assert list(range(10_000)) == [task.payload for task in tasks]
    assert all(one.id < other.id for one, other in pairwise(tasks))
    assert list(range(500)) == [task.payload for task in queue.claim(limit=500)]
    assert (9_500, 500) == (queue.stats().pending, queue.stats().running)


def test_tasks_that_share_nothing_are_stored_each_as_it_is(queue: Queue) -> None:
    """
    What one has and the other lacks is not mixed up, and what is returned is what is stored, to the microsecond.
    """
    delays = (1 / 3, 5e-7, 1.5e-6, 2_000_000_000 + 1 / 3, timedelta(microseconds=1))
    new = [
        new_task(),
        new_task(type="other", queue="other", priority=-3, max_attempts=9, timeout=1.5),
        new_task(correlation_id='a"\\{},', tags=["NULL", "b"], scheduled_at=NOON - timedelta(days=1)),
        *(new_task(delay=delay) for delay in delays),
    ]

    tasks = queue.enqueue_many(new)

    def told(task: WorkerTask) -> tuple[object, ...]:
        kind = task.type, task.queue, task.priority, task.max_attempts, task.timeout
        return (*kind, task.correlation_id, task.tags, task.payload, task.scheduled_at, task.created_at)

    assert [told(task) for task in tasks] == [told(queue.find(task)) for task in tasks]
    assert [one.queue for one in new] == [task.queue for task in tasks]
    assert [one.tags for one in new] == [task.tags for task in tasks]
    waits = [timedelta(seconds=one.delay) if isinstance(one.delay, float) else timedelta() for one in new[3:]]
    assert waits == [task.scheduled_at - NOON for task in tasks[3:]]


def test_one_new_task_may_be_enqueued_several_times(queue: Queue) -> None:
    """
    Each has a payload of its own.
    """
    first, second = queue.enqueue_many([new_task(payload={"to": ["ada"], "n": 1})] * 2)

    first.payload["n"] = 2
    first.payload["to"].append("eve")

    assert {"to": ["ada"], "n": 1} == second.payload == queue.find(first).payload


def test_ten_thousand_tasks_with_one_bad_among_them_store_nothing(queue: Queue) -> None:
    """
    All or none: a payload over the limit at the very end undoes the rest.
    """
    new = [new_task() for _ in range(9_999)] + [new_task(payload="x" * 1_048_576)]

    with pytest.raises(InvalidInput) as refused:
        queue.enqueue_many(new)

    assert ("payload", 0, []) == (refused.value.field, queue.stats().total, queue.events)


def test_what_is_no_task_is_refused_by_its_place(queue: Queue) -> None:
    """
    The error names the element, and nothing is stored.
    """
    new: list[Any] = [new_task(), {"type": "email:send"}]

    with pytest.raises(InvalidInput) as refused:
        queue.enqueue_many(new)

    assert ("new[1]", 0) == (refused.value.field, queue.stats().total)


def test_nothing_is_enqueued_of_nothing(queue: Queue) -> None:
    """
    An empty list is allowed.
    """
    tasks = queue.enqueue_many([])

    assert ([], 0, []) == (tasks, queue.stats().total, queue.events)


def test_the_budget_is_the_callers_then_the_jobs_then_the_default(queue: Queue) -> None:
    """
    Who is nearest to the task decides.
    """
    queue.jobs.define("patient", max_attempts=10)(lambda payload, context: None)
    queue.jobs.define("plain")(lambda payload, context: None)

    tasks = queue.enqueue_many(
        [
            NewTask(type="patient", max_attempts=2),
            NewTask(type="patient"),
            NewTask(type="plain"),
            NewTask(type="unknown here"),
        ]
    )

    assert [2, 10, 3, 3] == [queue.find(task).max_attempts for task in tasks]
