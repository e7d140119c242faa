"""Versions: a payload that is newer than a worker's code is left for a worker that knows it, and is seen to wait."""

from typing import Any

from app.domain.health import WaitingType
from app.domain.tasks.repository import Position
from tests.contract.subject import Queue
from tests.examples import EMAIL, REPORT, new_task


def test_a_version_is_stored_as_it_was_asked_for(queue: Queue) -> None:
    """
    The job's own unless the caller says another one, older or newer; the first where nobody says anything.
    """
    queue.jobs.define(EMAIL, version=2)(lambda payload, context: None)

    tasks = queue.enqueue_many(
        [new_task(EMAIL), new_task(EMAIL, version=1), new_task(EMAIL, version=3), new_task(REPORT)]
    )

    assert [2, 1, 3, 1] == [task.version for task in tasks] == [queue.find(task).version for task in tasks]


def test_a_worker_claims_what_its_code_knows(queue: Queue) -> None:
    """
    Up to its own version of each type, whatever the other types' are; the rest stays pending, no attempt spent.
    """
    queue.register()
    first, second, third, report = queue.enqueue_many(
        [new_task(EMAIL), new_task(EMAIL, version=2), new_task(EMAIL, version=3), new_task(REPORT, version=2)]
    )

    claimed = queue.claim(types=(EMAIL, REPORT), versions=(2, 1), limit=10)

    assert [first.id, second.id] == [task.id for task in claimed]
    assert [("pending", 0), ("pending", 0)] == [
        (found.status, found.attempts) for found in (queue.find(third), queue.find(report))
    ]
    assert [third.id, report.id] == [task.id for task in queue.claim(versions=(3, 2), limit=10)]


def test_a_worker_without_versions_knows_the_first_of_each_type(queue: Queue) -> None:
    """
    What most workers are.
    """
    queue.register()
    queue.enqueue(version=2)
    known = queue.enqueue(version=1)

    assert [known.id] == [task.id for task in queue.claim(limit=10)]


def test_newer_versions_are_left_whatever_queues_are_named(queue: Queue) -> None:
    """
    Claims from one queue, from some, and onwards leave them too.
    """
    queue.register()
    queue.enqueue_many([new_task(queue=name, version=2) for name in ("a", "b")])
    onwards = tuple(Position(name, 2**31 - 1, queue.clock.now(), queue.enqueue(REPORT).id) for name in ("a", "b"))

    asked: tuple[dict[str, Any], ...] = ({"queues": ("a",)}, {"queues": ("a", "b")}, {"after": onwards})

    assert [[], [], []] == [queue.claim(types=(EMAIL,), limit=10, **each) for each in asked]
    assert [1, 1] == [len(queue.claim(types=(EMAIL,), versions=(2,), limit=10, **each)) for each in asked[::2]]


def test_a_task_of_a_newer_version_gives_no_reason_to_look(queue: Queue) -> None:
    """
    Neither one that is due nor one that will be: a worker would look for it without end.
    """
    queue.register()
    queue.enqueue(version=2)
    queue.enqueue(version=2, delay=10)
    queue.claim()

    assert (None, 0) == (queue.next_due_in(), queue.next_due_in(versions=(2, 1)))
    queue.enqueue(delay=30)
    assert (30, 30) == (queue.next_due_in(), queue.next_due_in(queues=("default",)))


def test_what_waits_for_newer_code_is_told(queue: Queue) -> None:
    """
    How many of which type and version, apart from unknown types, as long as no worker alive knows them.
    """
    queue.register("old")
    queue.enqueue_many([new_task(EMAIL), new_task(EMAIL, version=3), new_task(EMAIL, version=3)])
    queue.enqueue_many([new_task(REPORT, version=2), new_task("unknown", version=2)])
    queue.clock.advance(20)

    before = queue.check()
    queue.register("new", types=(EMAIL,), versions=(3,))
    after = queue.check()

    assert (WaitingType(EMAIL, 2, 20, version=3), WaitingType(REPORT, 1, 20, version=2)) == before.newer_versions
    assert (WaitingType("unknown", 1, 20, version=2),) == before.unknown_types
    assert before.problems == (
        "1 due task(s) of type 'unknown' in version 2 wait for a worker that knows that type (the oldest for 20 s).",
        f"2 due task(s) of type '{EMAIL}' in version 3 wait for a worker that knows that version"
        " (the oldest for 20 s).",
        f"1 due task(s) of type '{REPORT}' in version 2 wait for a worker that knows that version"
        " (the oldest for 20 s).",
    )
    assert (WaitingType(REPORT, 1, 20, version=2),) == after.newer_versions


def test_without_a_worker_our_own_versions_count(queue: Queue) -> None:
    """
    What we know is the best guess at what a worker will know.
    """
    queue.jobs.define(EMAIL, version=2)(lambda payload, context: None)
    queue.enqueue_many([new_task(EMAIL), new_task(EMAIL, version=3)])

    assert [3] == [waiting.version for waiting in queue.check().newer_versions]
