"""Uniqueness: of those who ask for the same, one gets a task of their own and the others get that one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import InvalidInput
from app.domain.jobs.unique import Unique
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.new import NewTask
from app.domain.tasks.outcomes import GivenUp
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import TaskNotUnique
from app.usecases.uniques import ClearUniques
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT, new_task

ALL = tuple(TaskStatus)


def by_user(payload: Any) -> Any:
    return payload["user"]


def unique(queue: Queue, type: str = EMAIL, **said: Any) -> None:
    """Make tasks of *type* unique by their user."""
    options = {name: said.pop(name) for name in ("payload", "version") if name in said}
    queue.jobs.define(type, unique=Unique(**{"key": by_user} | said), **options)(lambda payload, context: None)


def sync(user: Any = 1, type: str = EMAIL, **asked: Any) -> NewTask:
    note = asked.pop("note", "")
    return new_task(type, payload={"user": user, "note": note}, **asked)


def is_new(task: WorkerTask) -> bool:
    return not isinstance(task, ExistingTask)


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


def test_in_bulk_everybody_gets_a_task_in_the_order_given(queue: Queue) -> None:
    """
    The first of a key wins, and the others get its task; those who hold a key already, and plain tasks, among them.
    """
    unique(queue)
    [there] = queue.enqueue_many([sync(3)])
    new = [sync(1), new_task(REPORT), sync(2), sync(1, note="lost"), sync(3), new_task(REPORT), sync(2)]

    tasks = queue.enqueue_many(new)

    assert [one.type for one in new] == [task.type for task in tasks]
    assert [True, True, True, False, False, True, False] == [is_new(task) for task in tasks]
    assert (tasks[0].id, tasks[2].id, there.id) == (tasks[3].id, tasks[6].id, tasks[4].id)
    assert ["", 5] == [queue.find(tasks[3]).payload["note"], queue.stats().total]
    assert 5 == len(queue.told)


def test_bulk_that_replaces_is_as_one_after_the_other(queue: Queue) -> None:
    """
    The first gives the id, the last gives all else; whether the key was free before or not.
    """
    unique(queue, on_conflict="replace")

    tasks = queue.enqueue_many([sync(note="1"), sync(2), sync(note="2", priority=3), sync(note="3", priority=5)])
    between = queue.find(tasks[0])
    again = queue.enqueue_many([sync(note="4"), sync(note="5")])

    assert [True, True, False, False] == [is_new(task) for task in tasks]
    assert ("3", 5) == (between.payload["note"], between.priority)
    assert ({tasks[0].id}, "5") == ({task.id for task in again}, queue.find(between).payload["note"])
    assert 2 == queue.stats().total


def test_thousands_are_placed_together(queue: Queue) -> None:
    """
    Half of them are there already, and every fourth is given twice.
    """
    unique(queue)
    before = queue.enqueue_many([sync(number) for number in range(0, 4000, 2)])

    users = [number - (number % 4 == 1) for number in range(4000)]
    tasks = queue.enqueue_many([sync(user) for user in users])

    known = {task.payload["user"]: task.id for task in before}
    assert users == [task.payload["user"] for task in tasks]
    assert [known.get(user, task.id) for user, task in zip(users, tasks, strict=True)] == [task.id for task in tasks]
    assert (3000, 1000) == (queue.stats().total, sum(map(is_new, tasks)))


def test_of_fifty_producers_one_enqueues(queue: Queue) -> None:
    """
    They come at the same moment, and again once the task has ended.
    """
    unique(queue)
    queue.register()

    first = in_parallel(50, lambda number: queue.enqueue_many([sync(note=str(number))])[0])
    queue.complete(queue.claim_one())
    second = in_parallel(50, lambda number: queue.enqueue_many([sync(note=str(number))])[0])

    assert [1, 1] == [len({task.id for task in tasks}) for tasks in (first, second)]
    assert [1, 1] == [sum(map(is_new, tasks)) for tasks in (first, second)]
    assert (1, 1) == (queue.stats().pending, queue.stats().completed)


def test_bulks_in_opposite_order_do_not_wait_for_each_other_forever(queue: Queue) -> None:
    """
    Eight producers with the same two hundred keys, half of them backwards, and with replacing at that.
    """
    unique(queue, on_conflict="replace")

    def work(number: int) -> list[WorkerTask]:
        tasks = []
        for _ in range(5):
            tasks += queue.enqueue_many([sync(user) for user in range(200)][:: 1 if number % 2 else -1])
        return tasks

    tasks = [task for share in in_parallel(8, work) for task in share]

    assert (200, 200) == (len({task.id for task in tasks}), queue.stats().total)
    assert 200 == sum(map(is_new, tasks))


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
