"""Claim by id: one task, taken by whoever asks for it, whatever its queue and its time."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import UnknownType
from app.domain.tasks.errors import IllegalTransition, TaskHeld, TaskNotFound
from app.domain.tasks.outcomes import Released
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.claim import ClaimTask, EnqueueAndClaim
from app.usecases.tasks.enqueue import EnqueueTask
from app.usecases.transaction import Transaction
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT, a_node, new_id


def knowing(*types: str) -> JobCatalog:
    """A catalog with a job of each type."""
    jobs = JobCatalog()
    for type in types:

        @jobs.define(type)
        def handler(payload: Any, context: TaskContext) -> None: ...

    return jobs


def claim(queue: Queue, task_id: Any, worker_id: str = "w1", jobs: JobCatalog | None = None) -> WorkerTask:
    return queue.uow.run(ClaimTask(jobs or knowing(EMAIL, REPORT)), a_node(worker_id), task_id)


def taken(queue: Queue, task_id: TaskId, worker_id: str = "w1", types: tuple[str, ...] = (EMAIL,)) -> WorkerTask | None:
    """What the statement by itself takes, for a worker that may be registered or not."""

    def work(tx: Transaction) -> WorkerTask | None:
        return tx.tasks.claim_by_id(task_id, worker_id=worker_id, types=types)

    return queue.uow.run(work)


def test_the_asked_for_task_is_claimed_and_no_other(queue: Queue) -> None:
    """It spends an attempt and raises the fence as any claim does, and its worker is registered with it."""
    first, asked_for = queue.enqueue(), queue.enqueue(queue="reports")

    task = claim(queue, asked_for.id)

    assert (asked_for.id, TaskStatus.RUNNING, "w1", 1, 1) == (
        task.id,
        task.status,
        task.worker_id,
        task.attempts,
        task.lease_seq,
    )
    assert NOON == task.started_at
    assert ["w1"] == [worker.node.id for worker in queue.workers()]
    assert TaskStatus.PENDING is queue.find(first).status
    assert ["created", "created", "started"] == queue.told


def test_what_it_hands_out_is_what_is_stored(queue: Queue) -> None:
    """The claimed task and the one that is read back are alike in every field."""
    asked_for = queue.enqueue(priority=7, timeout=30, correlation_id="order 7", tags=["a", "b c"], max_attempts=9)

    task = claim(queue, asked_for.id)

    found = queue.find(task)
    assert {name: getattr(found, name) for name in found.__slots__} == {
        name: getattr(task, name) for name in task.__slots__
    }


def test_its_text_is_an_id_too(queue: Queue) -> None:
    """As for every verb that takes an id."""
    task = queue.enqueue()

    assert task.id == claim(queue, str(task.id)).id


def test_a_task_of_the_future_is_claimed_when_it_is_asked_for(queue: Queue) -> None:
    """Given back, it waits for its time again; retried, it comes when the retry says."""
    later = queue.enqueue(delay=600)

    task = claim(queue, later.id)
    assert TaskStatus.RUNNING is task.status
    assert queue.settle(task, Released())

    found = queue.find(later)
    assert (TaskStatus.PENDING, 0, NOON + timedelta(seconds=600)) == (found.status, found.attempts, found.scheduled_at)
    assert [] == queue.claim("w1")
    assert 600 == queue.next_due_in("w1")
    queue.clock.advance(600)
    assert [later.id] == [each.id for each in queue.claim("w1")]


def test_a_task_of_the_future_may_be_completed_before_its_time(queue: Queue) -> None:
    """And nothing of it is left for then."""
    later = queue.enqueue(delay=600)

    assert queue.complete(claim(queue, later.id), {"sent": True})

    queue.clock.advance(601)
    assert [] == queue.claim("w1")
    assert ({"sent": True}, TaskStatus.COMPLETED) == (queue.find(later).result, queue.find(later).status)


def test_a_failed_attempt_of_a_future_task_is_retried_when_the_policy_says(queue: Queue) -> None:
    """The retry replaces the schedule, as it does for every other task."""
    later = queue.enqueue(delay=600)

    assert queue.fail_and_retry(claim(queue, later.id), 30)

    assert 30 == queue.next_due_in("w1")


def test_an_id_that_nobody_has_is_refused(queue: Queue) -> None:
    """With the id; and what is no id at all is bad input."""
    missing = new_id()

    with pytest.raises(TaskNotFound) as refused:
        claim(queue, missing)
    with pytest.raises(InvalidInput):
        claim(queue, "the first one")

    assert missing == refused.value.task_id
    assert [] == list(queue.workers())


def test_a_task_that_somebody_runs_is_refused_with_their_name(queue: Queue) -> None:
    """The refusal is an illegal transition too; the worker that was to run it has not been registered."""
    queue.register("w1")
    queue.enqueue()
    held = queue.claim_one("w1")

    with pytest.raises(TaskHeld, match="worker w1 is running it") as refused:
        claim(queue, held.id, "w2")

    assert isinstance(refused.value, IllegalTransition)
    assert ("w1", TaskStatus.RUNNING, held.id) == (refused.value.worker_id, refused.value.status, refused.value.task_id)
    assert ["w1"] == [worker.node.id for worker in queue.workers()]
    assert ("w1", 1) == (queue.find(held).worker_id, queue.find(held).lease_seq)


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED])
def test_a_task_that_has_ended_is_refused_with_its_state(queue: Queue, status: TaskStatus) -> None:
    """To run it again is what retry is for."""
    queue.register("w1")
    task = queue.enqueue()
    if status is TaskStatus.CANCELLED:
        queue.cancel(task)
    else:
        held = queue.claim_one("w1")
        assert queue.complete(held) if status is TaskStatus.COMPLETED else queue.fail(held)

    with pytest.raises(IllegalTransition, match=f"it is {status}, and must be pending") as refused:
        claim(queue, task.id, "w2")

    assert (status, ("pending",)) == (refused.value.status, refused.value.allowed)
    assert ["w1"] == [worker.node.id for worker in queue.workers()]


def test_a_type_that_is_not_in_the_catalog_is_refused(queue: Queue) -> None:
    """With the type and the known ones; the task stays where it is."""
    task = queue.enqueue("video:cut")

    with pytest.raises(UnknownType, match="video:cut") as refused:
        claim(queue, task.id)

    assert ("video:cut", (EMAIL, REPORT)) == (refused.value.type, refused.value.known)
    assert (TaskStatus.PENDING, 0, 0) == (
        queue.find(task).status,
        queue.find(task).attempts,
        queue.find(task).lease_seq,
    )
    assert [] == list(queue.workers())


def test_nothing_is_claimed_by_id_for_a_worker_that_is_not_registered(queue: Queue) -> None:
    """Nobody would ever look for what it took."""
    task = queue.enqueue()

    assert None is taken(queue, task.id, "nobody")
    assert None is taken(queue, task.id, "nobody", types=())
    queue.register("w1")
    assert None is taken(queue, task.id, "w1", types=(REPORT,))
    assert None is not taken(queue, task.id, "w1")


def test_of_many_who_ask_one_gets_the_task(queue: Queue) -> None:
    """The others are told who it is; ordinary claims count among them."""
    queue.register("polling")
    jobs = knowing(EMAIL)
    for _ in range(5):
        task = queue.enqueue()
        start = threading.Barrier(5)
        got: list[str] = []

        def ask(name: str, task: WorkerTask = task, start: threading.Barrier = start, got: list[str] = got) -> None:
            start.wait()
            if name == "polling":
                got.extend(each.worker_id or "" for each in queue.claim(name))
                return
            try:
                got.append(claim(queue, task.id, name, jobs).worker_id or "")
            except TaskHeld:
                return

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("polling", "a", "b", "c", "d")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert [queue.find(task).worker_id] == got
        assert 1 == queue.find(task).lease_seq


def test_what_is_enqueued_and_claimed_at_once_is_never_seen_waiting(queue: Queue) -> None:
    """Whoever claims at the very moment its transaction is through finds it running."""
    queue.register("polling")
    jobs = knowing(EMAIL)
    verb = EnqueueAndClaim(EnqueueTask(queue.enqueueing), ClaimTask(jobs))
    done = threading.Event()
    snatched: list[WorkerTask] = []

    def snatch() -> None:
        while not done.is_set():
            snatched.extend(queue.claim("polling"))

    thief = threading.Thread(target=snatch)
    thief.start()
    try:
        mine = [queue.uow.run(verb, a_node(f"w{number}"), {"type": EMAIL}) for number in range(20)]
    finally:
        done.set()
        thief.join(20)

    assert [] == snatched
    assert [f"w{number}" for number in range(20)] == [queue.find(task).worker_id for task in mine]


def test_what_may_not_be_enqueued_leaves_nothing(queue: Queue) -> None:
    """Neither a task nor a worker; nor does one whose type nobody here can run."""
    verb = EnqueueAndClaim(EnqueueTask(queue.enqueueing), ClaimTask(knowing(EMAIL)))

    with pytest.raises(InvalidInput):
        queue.uow.run(verb, a_node(), {"type": EMAIL, "priority": "high"})
    with pytest.raises(UnknownType):
        queue.uow.run(verb, a_node(), {"type": REPORT})

    assert (0, []) == (queue.stats().total, list(queue.workers()))
    assert [] == queue.told
