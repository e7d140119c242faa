"""Any story at all: random verbs by random workers at random times, held against a model after every step."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.domain.tasks.errors import IllegalTransition, TaskNotFound
from app.domain.tasks.new import NewTask
from app.domain.tasks.outcomes import Completed, Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Progress
from app.domain.tasks.statistics import TaskFilter, TaskStats
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction
from tests.contract.model import LEASE, Model, Row
from tests.contract.subject import Queue, completed, request
from tests.examples import NOON, a_failure, new_task

# Deterministic, so that a red run means a change and not bad luck.
MEMORY = settings(derandomize=True, max_examples=300, stateful_step_count=60, deadline=None, database=None)
POSTGRES = settings(MEMORY, max_examples=40, stateful_step_count=50)

TASKS = st.builds(
    lambda priority, delay, budget: new_task(priority=priority, delay=delay, max_attempts=budget),
    st.integers(-1, 1),
    st.sampled_from([0, 0, 0, 30]),
    st.integers(1, 3),
)
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        completed("done"),
        Failed(a_failure()),
        RetryIn(a_failure(), 0),
        RetryIn(a_failure(), 30),
        GivenUp("not wanted"),
        Snoozed(0),
        Snoozed(30),
        Released(),
    ]
)


DAY = 86_400
"""So that what finished lies in several partitions, and some of these end before the limit of a clean-up."""


class Story(RuleBasedStateMachine):
    """Workers are lives: one that was buried never comes back, but goes on claiming and settling."""

    tasks: Bundle[WorkerTask] = Bundle("tasks")
    claims: Bundle[WorkerTask] = Bundle("claims")
    workers: Bundle[str] = Bundle("workers")

    def __init__(self, new_queue: Callable[[], Queue]) -> None:
        super().__init__()
        self.queue = new_queue()
        self.model = Model()
        self.lives: list[str] = []
        self.numbered = 0
        self.leases: set[tuple[str, int]] = set()

    # --- what applications do

    @initialize(target=tasks, new=st.lists(TASKS, min_size=2, max_size=6))
    def begin(self, new: list[NewTask]) -> MultipleResults[WorkerTask]:
        return multiple(*self._enqueue(new))

    @rule(target=tasks, new=st.lists(TASKS, max_size=3))
    def enqueue(self, new: list[NewTask]) -> MultipleResults[WorkerTask]:
        return multiple(*self._enqueue(new))

    @rule(task=tasks)
    def cancel(self, task: WorkerTask) -> None:
        row = self.model.rows.get(str(task.id))
        try:
            self.queue.cancel(task)
        except TaskNotFound:
            assert row is None
        except IllegalTransition:
            assert row is not None
            assert row.state in ("completed", "failed")
        else:
            assert row is not None
            assert row.state in ("pending", "running", "cancelled")
            self.model.cancel(str(task.id))

    @rule(task=tasks, reset=st.booleans())
    def retry(self, task: WorkerTask, reset: bool) -> None:
        row = self.model.rows.get(str(task.id))
        try:
            self.queue.retry(task, reset_attempts=reset)
        except TaskNotFound:
            assert row is None
        except IllegalTransition:
            assert row is not None
            assert row.state in ("pending", "running", "completed")
        else:
            assert row is not None
            assert row.state in ("failed", "cancelled")
            self.model.retry(str(task.id), reset=reset)

    @rule(age=st.sampled_from([0, 50, 100, DAY]))
    def clean(self, age: int) -> None:
        expected = self.model.clean(age)

        assert expected == self.queue.cleanup(age)

    # --- what workers do

    @initialize(target=workers)
    def open(self) -> MultipleResults[str]:
        return multiple(self._register(), self._register())

    @precondition(lambda self: len(self.lives) < 6)
    @rule(target=workers)
    def register(self) -> str:
        return self._register()

    @rule(target=claims, worker=workers, limit=st.integers(1, 4))
    def claim(self, worker: str, limit: int) -> MultipleResults[WorkerTask]:
        expected = self.model.claim(worker, limit)

        claimed = self.queue.claim(worker, limit=limit)

        assert expected == [str(task.id) for task in claimed]
        for task in claimed:
            assert (str(task.id), task.lease_seq) not in self.leases, "a lease was given twice"
            self.leases.add((str(task.id), task.lease_seq))
        return multiple(*claimed)

    @rule(task=claims, outcome=OUTCOMES)
    def settle(self, task: WorkerTask, outcome: Outcome) -> None:
        """Of any claim there ever was, so most are late."""
        expected = self.model.holds(str(task.id), task.lease_seq)
        if expected:
            self._end(str(task.id), outcome)

        assert expected == self.queue.settle(task, outcome)

    @rule(task=claims, percent=st.integers(0, 100))
    def report(self, task: WorkerTask, percent: int) -> None:
        expected = self.model.holds(str(task.id), task.lease_seq)
        if expected:
            self.model.rows[str(task.id)].percent = percent

        report = Progress(task_id=task.id, lease_seq=task.lease_seq, percent=percent)
        assert expected == bool(self.queue.progress([report]))

    @rule()
    def keep_up(self) -> None:
        """It changes nothing that anybody sees."""
        self.queue.keep_up()

    @rule(worker=workers)
    def adopt(self, worker: str) -> None:
        expected = {
            (id, row.lease) for id, row in self.model.rows.items() if row.state == "running" and row.holder == worker
        }

        assert expected == {(str(task.id), task.lease_seq) for task in self.queue.adopt(worker)}

    @rule(worker=workers)
    def leave(self, worker: str) -> None:
        self.model.seen.pop(worker, None)

        self.queue.leave(worker)

    @rule()
    def recover(self) -> None:
        expected = self.model.recover()

        assert expected == self.queue.recover()

    @rule(seconds=st.sampled_from([1, 30, LEASE, LEASE + 1, DAY]), silent=st.sets(st.integers(0, 5), max_size=2))
    def pass_time(self, seconds: int, silent: set[int]) -> None:
        """All but the *silent* beat at the end of it."""
        self.model.now += seconds
        self.queue.clock.advance(seconds)
        for number, worker in enumerate(self.lives):
            if number not in silent:
                assert (worker in self.model.seen) == self.queue.beat(worker)
                if worker in self.model.seen:
                    self.model.seen[worker] = self.model.now

    # --- what must hold after each of these

    @invariant()
    def the_queue_is_as_the_model_says(self) -> None:
        tasks, stats, next_due = self.queue.uow.run(_look)
        rows = self.model.rows

        assert {id: _told(row) for id, row in rows.items()} == {str(task.id): _seen(task) for task in tasks}
        assert TaskStats(**Counter(row.state for row in rows.values())) == stats
        assert (len(rows), self.model.next_due()) == (stats.total, next_due)

    # ---

    def _enqueue(self, new: list[NewTask]) -> list[WorkerTask]:
        stored = self.queue.enqueue_many(new)
        for task, asked in zip(stored, new, strict=True):
            assert isinstance(asked.delay, float)
            self.numbered += 1
            self.model.rows[str(task.id)] = Row(
                number=self.numbered,
                priority=asked.priority,
                budget=asked.max_attempts or 0,
                due=self.model.now + int(asked.delay),
            )
        return stored

    def _register(self) -> str:
        worker = f"w{len(self.lives)}"
        self.lives.append(worker)
        self.model.seen[worker] = self.model.now
        self.queue.register(worker, lease=LEASE)
        return worker

    def _end(self, id: str, outcome: Outcome) -> None:
        match outcome:
            case Completed():
                self.model.end(id, "completed", failed=False)
            case Failed():
                self.model.end(id, "failed", failed=True)
            case GivenUp():
                self.model.end(id, "cancelled", failed=False)
            case RetryIn(_, delay):
                self.model.put_back(id, failed=True, due=self.model.now + int(delay))
            case Snoozed(delay):
                self.model.put_back(id, failed=False, due=self.model.now + int(delay))
            case Released():
                self.model.put_back(id, failed=False, due=None)


def _look(tx: Transaction) -> tuple[Sequence[WorkerTask], TaskStats, float | None]:
    everything = TaskFilter(limit=10_000)
    return tx.statistics.newest(everything), tx.statistics.counts(), tx.tasks.next_due_in(request())


Facts = tuple[str, int, int, int, int, int, str | None, float, float | None, float | None]


def _told(row: Row) -> Facts:
    return (
        row.state,
        row.priority,
        row.attempts,
        row.budget,
        row.lease,
        row.errors,
        row.holder,
        row.due,
        row.end,
        row.percent,
    )


def _seen(task: WorkerTask) -> Facts:
    end = None if task.finished_at is None else (task.finished_at - NOON).total_seconds()
    return (
        str(task.status),
        task.priority,
        task.attempts,
        task.max_attempts,
        task.lease_seq,
        len(task.errors),
        task.worker_id,
        (task.scheduled_at - NOON).total_seconds(),
        end,
        task.progress,
    )


@pytest.mark.timeout(600)  # green in seconds; red, it takes its time to find the shortest story
def test_any_story_ends_as_the_model_says(adapter: str, new_queue: Callable[[], Queue]) -> None:
    """
    No task is lost or held twice, no lease falls or repeats, no attempt is miscounted, and the counts add up.
    """

    class ThisStory(Story):
        def __init__(self) -> None:
            super().__init__(new_queue)

    run_state_machine_as_test(ThisStory, settings=MEMORY if adapter == "memory" else POSTGRES)
