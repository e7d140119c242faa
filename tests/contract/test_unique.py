"""Uniqueness: of those who ask for the same, one gets a task of their own and the others get that one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import InvalidInput
from app.domain.tasks.outcomes import GivenUp
from app.domain.tasks.status import TaskStatus
from app.usecases.uniques import ClearUniques
from tests.contract.subject import Queue
from tests.contract.uniques import is_new, sync, unique
from tests.examples import EMAIL, REPORT, new_task

ALL = tuple(TaskStatus)


def test_the_second_gets_the_task_of_the_first(queue: Queue) -> None:
    """
    As it is: nothing is stored, nothing told, and its payload is the first one's.
    """
    unique(queue)

    [first] = queue.enqueue_many([sync(note="first")])
    [second] = queue.enqueue_many([sync(note="second", priority=9)])
    [other] = queue.enqueue_many([sync(2)])

    assert [True, False, True] == [is_new(first), is_new(second), is_new(other)]
    assert (first.id, "first", 0) == (second.id, second.payload["note"], second.priority)
    assert (2, ["created", "created"]) == queue.public


def test_a_job_without_a_key_function_has_one_key(queue: Queue) -> None:
    """
    One task at a time, whatever is in it.
    """
    unique(queue, key=None)

    first, second = queue.enqueue_many([sync(1)])[0], queue.enqueue_many([sync(2)])[0]

    assert (first.id, 1) == (second.id, queue.stats().total)


def test_a_key_may_be_text_or_a_number_of_any_length(queue: Queue) -> None:
    """
    A number and its digits are one key; long ones are told apart by their last character.
    """
    unique(queue)
    long = "x" * 100_000

    tasks = queue.enqueue_many([sync(each) for each in (7, "7", "", long + "a", long + "b", long + "a", "ü 'q\\\"{},")])
    again = queue.enqueue_many([sync(each) for each in (7, "7", "", long + "a", long + "b", long + "a", "ü 'q\\\"{},")])

    assert [task.id for task in tasks] == [task.id for task in again]
    assert [True, False, True, True, True, False, True] == [is_new(task) for task in tasks]
    assert 5 == queue.stats().total


def test_the_key_is_made_of_the_payload_as_its_handler_gets_it(queue: Queue) -> None:
    """
    An instance of the model, and one of today where the task is of an older version; what becomes of it stays there.
    """

    class User(BaseModel):
        user_id: int
        seen: list[int] = []

    def key(user: User) -> int:
        user.seen.append(1)
        return user.user_id

    unique(queue, key=key, payload=User, version=2)
    job = queue.jobs.get(EMAIL)
    assert job is not None
    job.upcast(1)(lambda payload: {"user_id": payload["id"]})

    [today] = queue.enqueue_many([new_task(payload={"user_id": 5})])
    [before] = queue.enqueue_many([new_task(payload={"id": 5}, version=1)])

    assert (today.id, {"user_id": 5}) == (before.id, queue.find(today).payload)


@pytest.mark.parametrize("answer", [None, True, 1.5, b"x", ["x"], "a\0b", "\ud800"])
def test_a_key_that_is_neither_text_nor_a_number_is_refused(queue: Queue, answer: Any) -> None:
    """
    The error names the job and the rule, and nothing is stored: neither this task nor those with it.
    """
    unique(queue, key=lambda payload: answer if payload["user"] else "fine")

    with pytest.raises(InvalidInput, match=r"unique\.key: job 'email:send': the key") as refused:
        queue.enqueue_many([sync(0), new_task(REPORT), sync(1)])

    assert "unique.key" == refused.value.field
    assert (0, []) == queue.public


def test_a_key_that_raises_is_refused(queue: Queue) -> None:
    """
    With what it raised, and nothing stored.
    """
    unique(queue)

    with pytest.raises(InvalidInput, match=r"job 'email:send': the key function failed.*KeyError: 'user'") as refused:
        queue.enqueue_many([sync(), new_task(payload={"to": "ada"})])

    assert isinstance(refused.value.__cause__, KeyError)
    assert (0, []) == queue.public


def test_a_key_that_would_have_to_be_awaited_is_refused_at_its_definition(queue: Queue) -> None:
    """
    An asynchronous function is; one that only answers with something to be awaited, at the enqueue.
    """

    async def key(payload: Any) -> int:
        return 1

    with pytest.raises(InvalidInput, match=r"unique\.key: must be a plain function"):
        unique(queue, key=key)
    unique(queue, key=lambda payload: key(payload) if payload else None)
    with pytest.raises(InvalidInput, match=r"unique\.key: job 'email:send'"):
        queue.enqueue_many([sync()])


def test_the_key_of_a_newer_version_is_not_known(queue: Queue) -> None:
    """
    Its payload is one that nobody here can read.
    """
    unique(queue)

    with pytest.raises(InvalidInput, match=r"version: job 'email:send'.*newer"):
        queue.enqueue_many([sync(version=2)])

    assert (0, []) == queue.public


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "give up"])
def test_a_key_is_free_once_its_task_has_ended(queue: Queue, end: str) -> None:
    """
    However that was; and taken while it waits, runs, and waits to be retried.
    """
    unique(queue)
    queue.register()
    [first] = queue.enqueue_many([sync()])

    held = [queue.enqueue_many([sync()])[0]]
    if end != "cancel":
        running = queue.claim_one()
        held += queue.enqueue_many([sync()])
        queue.fail_and_retry(running)
        held += queue.enqueue_many([sync()])
        running = queue.claim_one()
    ends: dict[str, Callable[[], object]] = {
        "complete": lambda: queue.complete(running),
        "fail": lambda: queue.fail(running),
        "cancel": lambda: queue.cancel(first),
        "give up": lambda: queue.settle(running, GivenUp("no")),
    }
    ends[end]()
    [next_one] = queue.enqueue_many([sync()])

    assert {first.id} == {task.id for task in held}
    assert is_new(next_one)
    assert next_one.id == queue.enqueue_many([sync()])[0].id


def test_a_key_may_be_taken_by_what_has_ended(queue: Queue) -> None:
    """
    As long as that is there: a clean-up frees the key.
    """
    unique(queue, while_status=("completed", "failed"))
    queue.register()
    pending = queue.enqueue_many([sync()])[0]
    queue.cancel(pending)

    first = queue.enqueue_many([sync(note="first")])[0]
    queue.complete(queue.claim_one(), {"n": 1})
    [second] = queue.enqueue_many([sync()])
    queue.clock.advance(100)
    queue.cleanup(50)
    [third] = queue.enqueue_many([sync()])

    assert (first.id, TaskStatus.COMPLETED, {"n": 1}) == (second.id, second.status, second.result)
    assert [False, True] == [is_new(second), is_new(third)]


def test_a_key_is_free_when_its_time_is_over(queue: Queue) -> None:
    """
    Whatever its task does; and asking meanwhile does not prolong it.
    """
    unique(queue, ttl=timedelta(minutes=1))
    [first] = queue.enqueue_many([sync()])

    queue.clock.advance(59)
    [within] = queue.enqueue_many([sync()])
    queue.clock.advance(1)
    [after] = queue.enqueue_many([sync()])

    assert first.id == within.id
    assert is_new(after)
    assert (2, after.id) == (queue.stats().pending, queue.enqueue_many([sync()])[0].id)


def test_jobs_have_keys_of_their_own_unless_they_share_a_namespace(queue: Queue) -> None:
    """
    The namespace is the job's type, unless said.
    """
    for type, namespace in (("a", None), ("b", None), ("c", "users"), ("d", "users")):
        unique(queue, type, namespace=namespace)

    tasks = [queue.enqueue_many([sync(type=type)])[0] for type in ("a", "b", "c", "d")]

    assert [True, True, True, False] == [is_new(task) for task in tasks]
    assert (tasks[2].id, "c") == (tasks[3].id, tasks[3].type)


def test_what_is_retried_has_its_key_again(queue: Queue) -> None:
    """
    Unless another has it by then, which the retry neither asks nor hinders: an operator has said so.
    """
    unique(queue)
    queue.register()
    for user in (1, 2):
        queue.enqueue_many([sync(user)])
        queue.fail(queue.claim_one())
    newest, oldest = queue.newest()
    [other] = queue.enqueue_many([sync(1)])
    queue.keep_up()

    queue.retry(oldest)
    queue.retry(newest)
    [taken] = queue.enqueue_many([sync(1)])
    [again] = queue.enqueue_many([sync(2)])

    assert (other.id, newest.id) == (taken.id, again.id)
    assert 3 == queue.stats().pending


def test_what_nobody_needs_is_forgotten_by_the_upkeep(queue: Queue) -> None:
    """
    Keys whose time is over, whose task is gone, or has completed; in batches, and no others.
    """
    unique(queue)
    unique(queue, "short", ttl=10)
    unique(queue, "forever", while_status=ALL)
    queue.register(types=(EMAIL, "forever"))
    queue.enqueue_many([sync(1), sync(1, "short"), sync(1, "forever")])
    for done in queue.claim(types=(EMAIL, "forever"), limit=2):
        queue.complete(done)
    queue.enqueue_many([sync(2)])
    queue.fail(queue.claim_one())
    queue.enqueue_many([sync(3)])

    early = cleared(queue)
    queue.clock.advance(10)
    late = cleared(queue)
    queue.cleanup(1)
    later = cleared(queue)
    kept = queue.enqueue_many([sync(3)])[0]

    assert ([5, 1], [4, 1], [3, 2]) == (early, late, later)
    assert [1, 0] == cleared(queue)
    assert not is_new(kept)


def cleared(queue: Queue, batch: int = 2) -> list[int]:
    """How many keys were looked at and how many were forgotten."""
    sums, last = [0, 0], ""
    while True:
        seen, removed, last = queue.uow.run(ClearUniques(batch), last)
        sums = [sums[0] + seen, sums[1] + removed]
        if not last:
            return sums
