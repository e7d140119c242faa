"""Cancel against claim, settle, retry and recovery: whoever has the row first, the other sees what became of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine

from app import DeathReason, IllegalTransition, TaskQueueContainer, TaskStatus, WorkerTask
from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.outcomes import Failed, Outcome, Released, RetryIn
from app.domain.tasks.repository import ClaimRequest, Settlement
from app.usecases.tasks.cancel import CancelTask
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.expire import ExpireTasks
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.tasks.retry import RetryTask
from app.usecases.tasks.settle import SettleTasks
from app.usecases.transaction import UnitOfWork
from app.usecases.workers import RegisterWorker, RemoveWorker
from tests.contract.subject import completed
from tests.examples import a_failure, a_node
from tests.infra.postgres.callers import until
from tests.infra.postgres.uniques import somebody_waits

TYPE = "order:ship"
CLAIM = ClaimRequest(worker_id="w1", types=(TYPE,))
OUTCOMES: list[Outcome] = [completed("done"), Failed(a_failure()), RetryIn(a_failure(), 0), Released()]


class Race:
    """Two who want the same task; one is in a transaction that is still open when the other comes."""

    def __init__(self, engine: Engine, tasks: TaskQueueContainer) -> None:
        self.engine = engine
        self.tasks = tasks
        self.unit_of_work: UnitOfWork = tasks.unit_of_work()
        self.unit_of_work.run(RegisterWorker(), a_node("w1"))

    def task(self, **asked: Any) -> WorkerTask:
        return self.tasks.enqueue_task().execute(type=TYPE, **asked)

    def claimed(self, **asked: Any) -> WorkerTask:
        self.task(**asked)
        [task] = self.unit_of_work.run(ClaimTasks(), CLAIM).tasks
        return task

    def find(self, task: WorkerTask) -> WorkerTask:
        return self.tasks.find_task().execute(task.id)

    @contextmanager
    def before_the_commit_of(self, verb: Callable[..., Any], *arguments: Any) -> Iterator[None]:
        """Within, *verb* has been called and is not committed."""
        with self.engine.begin() as connection:
            self.unit_of_work.join(connection, verb, *arguments)
            yield

    def second(self, first: tuple[Any, ...], *second: Any) -> Any:
        """What the second gets, who waits for the first to commit."""
        with ThreadPoolExecutor(1) as thread:
            with self.before_the_commit_of(*first):
                answer: Future[Any] = thread.submit(lambda: self.unit_of_work.run(*second))
                until(lambda: somebody_waits(self.engine))
                assert not answer.done()
            return answer.result(20)

    def skipping(self, first: tuple[Any, ...], *second: Any) -> Any:
        """What the second gets, who does not wait for the first."""
        with self.before_the_commit_of(*first):
            return self.unit_of_work.run(*second)


@pytest.fixture
def race(engine: Engine) -> Iterator[Race]:
    tasks = TaskQueueContainer(engine=engine, jobs=JobCatalog())
    yield Race(engine, tasks)
    tasks.close()


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_a_settlement_that_waited_for_a_cancel_ends_the_task_cancelled(race: Race, outcome: Outcome) -> None:
    """
    Whatever it was to store; it counts as stored.
    """
    task = race.claimed()

    refused = race.second((CancelTask(), task.id), SettleTasks(), [Settlement(task, outcome)])

    assert (frozenset(), TaskStatus.CANCELLED) == (refused, race.find(task).status)
    assert (1, 1) == (race.tasks.get_task_stats().execute().cancelled, race.tasks.get_task_stats().execute().total)


def test_a_cancel_that_waited_for_a_completion_is_refused(race: Race) -> None:
    """
    It was not accepted, so the task may be completed.
    """
    task = race.claimed()

    with pytest.raises(IllegalTransition) as refused:
        race.second((SettleTasks(), [Settlement(task, completed("done"))]), CancelTask(), task.id)

    assert (TaskStatus.COMPLETED, TaskStatus.COMPLETED) == (refused.value.status, race.find(task).status)


def test_a_cancel_that_waited_for_a_retry_by_policy_takes_effect_at_once(race: Race) -> None:
    """
    The task is pending again by then.
    """
    task = race.claimed()

    cancelled = race.second((SettleTasks(), [Settlement(task, RetryIn(a_failure(), 0))]), CancelTask(), task.id)

    assert (TaskStatus.CANCELLED, TaskStatus.CANCELLED) == (cancelled.status, race.find(task).status)


def test_a_cancel_that_waited_for_a_claim_marks_what_runs(race: Race) -> None:
    """
    And its worker's completion ends it cancelled.
    """
    task = race.task()

    marked = race.second((ClaimTasks(), CLAIM), CancelTask(), task.id)

    running = race.find(task)
    race.unit_of_work.run(SettleTasks(), [Settlement(running, completed("done"))])
    assert (TaskStatus.RUNNING, True, TaskStatus.CANCELLED) == (
        marked.status,
        marked.cancel_requested_at is not None,
        race.find(task).status,
    )


def test_a_claim_passes_by_what_is_being_cancelled(race: Race) -> None:
    """
    And finds nothing afterwards.
    """
    task = race.task()

    meanwhile = race.skipping((CancelTask(), task.id), ClaimTasks(), CLAIM)

    assert ([], [], TaskStatus.CANCELLED) == (
        meanwhile.tasks,
        race.unit_of_work.run(ClaimTasks(), CLAIM).tasks,
        race.find(task).status,
    )


def test_recovery_passes_by_what_is_being_cancelled_and_ends_it_the_next_time(race: Race) -> None:
    """
    With attempts left; nobody runs it again.
    """
    task = race.claimed(max_attempts=5)
    race.unit_of_work.run(RemoveWorker(), "w1")
    recover = RecoverTasks(JobCatalog())

    meanwhile = race.skipping((CancelTask(), task.id), recover)
    then = race.unit_of_work.run(recover)

    assert (0, 1, TaskStatus.CANCELLED) == (meanwhile, then, race.find(task).status)


def test_a_cancel_that_waited_for_recovery_takes_effect_at_once(race: Race) -> None:
    """
    The task is pending again by then.
    """
    task = race.claimed(max_attempts=5)
    race.unit_of_work.run(RemoveWorker(), "w1")

    cancelled = race.second((RecoverTasks(JobCatalog()),), CancelTask(), task.id)

    assert TaskStatus.CANCELLED is cancelled.status is race.find(task).status


def test_a_cancel_that_waited_for_the_end_of_poison_is_refused(race: Race) -> None:
    """
    The task has failed for good by then.
    """
    task = race.claimed(max_attempts=5)
    race.unit_of_work.run(RemoveWorker(), "w1")

    with pytest.raises(IllegalTransition):
        race.second((RecoverTasks(JobCatalog(), poison_after=1),), CancelTask(), task.id)

    assert (TaskStatus.FAILED, DeathReason.POISON) == (race.find(task).status, race.find(task).reason)


def test_a_retry_that_waited_for_a_cancel_brings_the_task_back(race: Race) -> None:
    """
    Somebody took it away, and somebody else wants it after all.
    """
    task = race.task()

    retried = race.second((CancelTask(), task.id), RetryTask(), task.id)

    assert TaskStatus.PENDING is retried.status is race.find(task).status


def test_a_cancel_that_waited_for_a_retry_cancels_what_that_one_left(race: Race) -> None:
    """
    The other order.
    """
    task = race.claimed()
    race.unit_of_work.run(SettleTasks(), [Settlement(task, Failed(a_failure()))])

    cancelled = race.second((RetryTask(), task.id), CancelTask(), task.id)

    assert TaskStatus.CANCELLED is cancelled.status is race.find(task).status


def test_what_is_being_claimed_does_not_expire_and_the_other_way_round(race: Race) -> None:
    """
    Whoever has the row first wins; the other passes by.
    """
    first, second = race.task(ttl=0.000001), race.task()
    expire = ExpireTasks(JobCatalog())

    claimed = race.skipping((expire,), ClaimTasks(), CLAIM)
    expired = race.skipping((CancelTask(), second.id), expire)

    assert ([second.id], 0, TaskStatus.CANCELLED) == (
        [task.id for task in claimed.tasks],
        expired,
        race.find(first).status,
    )


def test_two_who_cancel_agree(race: Race) -> None:
    """
    The second returns what the first did.
    """
    task = race.claimed()

    second = race.second((CancelTask(), task.id), CancelTask(), task.id)

    assert race.find(task).cancel_requested_at == second.cancel_requested_at is not None
