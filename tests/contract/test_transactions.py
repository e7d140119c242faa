"""Transactions: wholly there or not at all, and nobody sees the half."""

import threading

import pytest

from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.outcomes import Released
from app.domain.tasks.repository import Addition, Settlement
from app.domain.tasks.status import TaskStatus
from app.usecases.tasks.cancel import CancelTask
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.cleanup import CleanupTasks
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.tasks.retry import RetryTask
from app.usecases.tasks.settle import ReportedProgress, ReportProgress, SettleTasks
from app.usecases.transaction import Transaction
from app.usecases.workers import RegisterWorker, RemoveWorker
from tests.contract.subject import Queue, completed, request
from tests.examples import a_node, new_id, new_task


class Undo(Exception):
    """Raised by a test to undo its own transaction."""


def test_everything_in_a_transaction_is_undone_together(queue: Queue) -> None:
    """
    After every verb there is has run and the last step raised, the queue is as it was before.
    """
    queue.register("w1")
    queue.enqueue_many([new_task() for _ in range(6)])
    ends, reports, snoozes = queue.claim(limit=3)
    [pending, *_] = queue.newest(status="pending")
    queue.complete(queue.claim_one())
    queue.fail(failed := queue.claim_one())
    before = [(task.id, task.status, task.lease_seq, task.progress) for task in queue.newest()]

    def everything(tx: Transaction) -> None:
        queue.enqueueing(tx, [new_task()])
        CancelTask()(tx, pending.id)
        RetryTask()(tx, failed.id)
        ClaimTasks()(tx, request(limit=10))
        SettleTasks()(tx, [Settlement(ends, completed()), Settlement(snoozes, Released())])
        ReportProgress()(tx, [ReportedProgress(reports, 50, None)])
        CleanupTasks()(tx, older_than=0)
        RegisterWorker()(tx, a_node("w2"))
        RemoveWorker()(tx, "w1")
        RecoverTasks(JobCatalog())(tx)
        raise Undo

    with pytest.raises(Undo):
        queue.uow.run(everything)

    assert before == [(task.id, task.status, task.lease_seq, task.progress) for task in queue.newest()]
    assert ["w1"] == [worker.node.id for worker in queue.workers()]
    assert queue.complete(ends)


def test_a_transaction_sees_its_own_work(queue: Queue) -> None:
    """
    What was enqueued a moment ago can be claimed, settled and counted before the commit.
    """

    def live(tx: Transaction) -> list[int]:
        RegisterWorker()(tx, a_node("w1"))
        old, new = queue.enqueueing(tx, [new_task(), new_task(priority=1)])
        claimed = ClaimTasks()(tx, request()).tasks
        assert [new.id] == [task.id for task in claimed]
        SettleTasks()(tx, [Settlement(claimed[0], completed())])
        CancelTask()(tx, old.id)
        RetryTask()(tx, old.id)
        stats = tx.statistics.counts()
        return [stats.completed, stats.pending, stats.total, len(ClaimTasks()(tx, request(limit=5)).tasks)]

    assert [1, 1, 2, 1] == queue.uow.run(live)
    assert (1, 1) == (queue.stats().completed, queue.stats().running)


def test_a_transaction_has_one_moment(queue: Queue) -> None:
    """
    Its time stands still however long it takes.
    """
    [first, second] = queue.uow.run(lambda tx: [tx.now(), (queue.clock.advance(10), tx.now())[1]])

    assert first == second


def test_nobody_sees_work_that_may_still_be_undone(queue: Queue) -> None:
    """
    Another thread that looks in the middle of a transaction, which then fails, has seen nothing of it.
    """
    seen: list[int] = []
    begun = threading.Event()

    def look() -> None:
        begun.set()
        seen.append(queue.stats().total)

    looker = threading.Thread(target=look)

    def fail(tx: Transaction) -> None:
        queue.enqueueing(tx, [new_task() for _ in range(100)])
        looker.start()
        begun.wait(timeout=10)
        raise Undo

    with pytest.raises(Undo):
        queue.uow.run(fail)
    looker.join(timeout=10)

    assert [0] == seen


def test_a_save_changes_what_an_operator_may_change(queue: Queue) -> None:
    """
    Status, schedule, budget, end and worker are stored; the rest of the entity is not the operator's.
    """
    task = queue.enqueue()

    def save(tx: Transaction) -> None:
        [locked] = tx.tasks.lock([task.id])
        locked.cancel(now=tx.now())
        locked.priority, locked.payload, locked.type, locked.lease_seq = 99, "changed", "changed", 99
        tx.tasks.save([locked])

    queue.uow.run(save)

    found = queue.find(task)
    assert (TaskStatus.CANCELLED, queue.clock.now()) == (found.status, found.finished_at)
    assert (task.priority, task.payload, task.type, 0) == (
        found.priority,
        found.payload,
        found.type,
        found.lease_seq,
    )


def test_only_tasks_that_exist_are_locked(queue: Queue) -> None:
    """
    Of ids that were asked for, those unknown are left out.
    """
    one, two = queue.enqueue(), queue.enqueue()

    locked = queue.uow.run(lambda tx: tx.tasks.lock([two.id, new_id(), one.id]))

    assert {one.id, two.id} == {task.id for task in locked}


def test_the_repository_takes_ids_and_budgets_as_decided(queue: Queue) -> None:
    """
    What the use case decided beside the request is what is stored.
    """
    addition = Addition(id=new_id(), new=new_task(max_attempts=None), max_attempts=8)

    [task] = queue.uow.run(lambda tx: tx.tasks.add([addition]))

    assert (addition.id, 8) == (task.id, queue.find(task).max_attempts)


async def test_a_transaction_may_be_awaited(queue: Queue) -> None:
    """
    Awaited, the verbs do the same: a commit tells, a failure undoes.
    """

    def fail(tx: Transaction) -> None:
        queue.enqueueing(tx, [new_task()])
        raise Undo

    [task] = await queue.uow.arun(queue.enqueueing, [new_task()])
    with pytest.raises(Undo):
        await queue.uow.arun(fail)

    stats = await queue.uow.arun(lambda tx: tx.statistics.counts())
    assert (1, ["created"], task.id) == (stats.total, queue.told, queue.events[0].task.id)
