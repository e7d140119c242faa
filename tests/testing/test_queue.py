"""TrialQueue: it takes a catalog for the time of a test, and runs what is due by its own clock."""

import asyncio
import unittest
from datetime import timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app import CatalogNotBound, JobCatalog, TaskCompleted, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from app.testing import JobFailed, TrialQueue
from tests.examples import NOON
from tests.testing.shop import Carrier, Order, Shipped, jobs, place, plain, ship, thank

SEVEN = Order(number=7)


def test_a_drain_runs_what_is_due_and_what_that_enqueues(queue: TrialQueue, carrier: Carrier) -> None:
    """The rest waits for the clock."""
    place.enqueue(SEVEN, correlation_id="request-1")

    ran = queue.drain()

    [shipped] = queue.enqueued(ship)
    [thanks] = queue.enqueued(thank)
    assert (2, [7]) == (ran, carrier.taken)
    assert (TaskStatus.COMPLETED, "request-1") == (shipped.status, shipped.correlation_id)
    assert (TaskStatus.PENDING, NOON + timedelta(hours=1)) == (thanks.status, thanks.scheduled_at)


def test_moving_the_clock_makes_tasks_due_and_runs_none(queue: TrialQueue) -> None:
    """A second before its time a task is not due, at its time it is."""
    handle = thank.enqueue(SEVEN, delay=timedelta(days=30))
    queue.clock.advance(days=29, hours=23, minutes=59, seconds=59)

    early = queue.drain()
    queue.clock.advance(seconds=1)
    before = handle.refresh().status
    late = queue.drain()

    assert (0, TaskStatus.PENDING, 1) == (early, before, late)
    assert "Thank you, Ada" == handle.result(timeout=0)
    assert NOON + timedelta(days=30) == handle.refresh().finished_at


def test_a_snoozed_task_comes_back_by_the_clock(queue: TrialQueue) -> None:
    """With no attempt spent."""
    thank.enqueue(Order(number=13))

    assert 1 == queue.drain()
    assert 0 == queue.drain()
    queue.clock.advance(hours=1)

    assert 1 == queue.drain()
    assert [0] == [task.attempts for task in queue.enqueued()]


async def test_a_drain_can_be_awaited(queue: TrialQueue) -> None:
    """The handlers run on the loop of the test."""
    loops = []
    own = JobCatalog()

    @own.define("loop")
    async def which(payload: object, context: TaskContext) -> None:
        loops.append(asyncio.get_running_loop())

    with TrialQueue(own) as other:
        await which.aenqueue(None)
        assert 1 == await other.adrain()

    assert [asyncio.get_running_loop()] == loops


async def test_a_plain_drain_works_beside_a_running_loop(queue: TrialQueue, carrier: Carrier) -> None:
    """Whatever is called from a test that happens to be asynchronous."""
    await ship.aenqueue(SEVEN)

    assert 1 == queue.drain()
    assert [7] == carrier.taken


def test_a_failed_attempt_fails_the_test(queue: TrialQueue) -> None:
    """Once all has been run; with the traceback of the first one, and the names of the others."""
    ship.enqueue_many([Order(number=-1), SEVEN, Order(number=-2)])

    with pytest.raises(
        JobFailed, match="attempt 1 of task 'order:ship' failed: ValueError: there is no order -1"
    ) as it:
        queue.drain()

    assert {"number": -1, "customer": "Ada"} == it.value.task.payload
    assert "in ship\n" in str(it.value)
    assert "and so did attempt 1 of 'order:ship': ValueError: there is no order -2" in str(it.value)
    assert [TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.PENDING] == [task.status for task in queue.enqueued()]


def test_a_test_about_failures_says_so(queue: TrialQueue) -> None:
    """Then a task is retried by its policy, as the clock moves, until it has failed for good."""
    handle = ship.enqueue(Order(number=-1))

    attempts = []
    for _ in range(4):
        attempts.append(queue.drain(raises=False))
        queue.clock.advance(seconds=60)

    assert [1, 1, 1, 0] == attempts
    assert [1, 2, 3] == [event.task.attempts for event in queue.failures]
    assert TaskStatus.FAILED is handle.refresh().status


def test_the_container_is_one_like_any_other(queue: TrialQueue) -> None:
    """Its verbs, its signals, and the handles of its tasks."""
    told = []

    def on_completed(sender: str, event: TaskCompleted) -> None:
        told.append((sender, event.result))

    queue.tasks.signals().completed.connect(on_completed)
    task = queue.tasks.enqueue_task().execute(type="order:ship", payload={"number": 7})
    queue.drain()

    assert {"number": 7, "attempt": 1} == queue.find(task.id).result
    assert [("order:ship", {"number": 7, "attempt": 1})] == told


def test_afterwards_the_catalog_is_bound_to_what_it_was_before(queue: TrialQueue) -> None:
    """To another queue, which then has what is enqueued, or to nothing; the one in between keeps its own."""
    own = JobCatalog()
    job = own.define("own")(lambda payload, context: None)
    merged = own.merged(JobCatalog())
    with TrialQueue(merged) as first:
        job.enqueue(1)
        with TrialQueue(own) as second:
            job.enqueue(2)
            job.enqueue(3)
            # Whatever is done with the other one meanwhile.
            first.drain()
        job.enqueue(4)

    assert ([1, 4], [2, 3]) == tuple([task.payload for task in one.enqueued()] for one in (first, second))
    with pytest.raises(CatalogNotBound):
        job.enqueue(5)


def test_an_applications_own_container_has_nothing_of_a_test(queue: TrialQueue) -> None:
    """Its jobs go to the test's queue and back to it afterwards, also while its own parts are used."""
    own = JobCatalog()
    job = own.define("own")(lambda payload, context: None)
    application = TaskQueueContainer(settings=Settings(in_memory=True), jobs=own)

    with TrialQueue(own) as trial:
        application.get_task_stats().execute()
        application.enqueue_task().execute(type="other")
        job.enqueue(None)
    job.enqueue(None)

    assert 1 == len(trial.enqueued())
    assert 2 == application.get_task_stats().execute().total


def test_what_the_surroundings_say_of_workers_is_not_about_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose workers run one queue alone still tests all of them."""
    monkeypatch.setenv("WORKER_QUEUES", "mail")
    monkeypatch.setenv("WORKER_TASK_TYPES", "nothing:*")
    with TrialQueue(jobs, services={Carrier: Carrier()}) as queue:
        plain.enqueue(1)

        assert 1 == queue.drain()


def test_inline_whatever_is_enqueued_has_run(queue: TrialQueue, carrier: Carrier) -> None:
    """With all that it enqueues, before the enqueue returns; what is for later is for later."""
    with queue.inline():
        result = ship.enqueue(SEVEN).result(timeout=0)
        place.enqueue(Order(number=8))
        assert [7, 8] == carrier.taken
    ship.enqueue(Order(number=9))

    assert Shipped(number=7, attempt=1) == result
    assert [TaskStatus.PENDING] == [task.status for task in queue.enqueued(thank)]
    assert [7, 8] == carrier.taken


async def test_inline_works_beside_a_running_loop(queue: TrialQueue, carrier: Carrier) -> None:
    """For both ways to enqueue."""
    with queue.inline():
        await ship.aenqueue(SEVEN)
        ship.enqueue(Order(number=8))
        assert [7, 8] == carrier.taken


def test_inline_a_joined_task_runs_when_its_session_commits(queue: TrialQueue, carrier: Carrier) -> None:
    """Not before, and not when it is rolled back."""
    engine = create_engine("sqlite://")
    with queue.inline():
        with Session(engine) as session, session.begin():
            ship.enqueue_in(session, SEVEN)
            assert [] == carrier.taken
        assert [7] == carrier.taken
        with Session(engine) as session:
            ship.enqueue_in(session, Order(number=8))
    engine.dispose()

    assert [7] == carrier.taken


def test_inline_a_failure_is_the_tests_and_not_the_callers(queue: TrialQueue) -> None:
    """Who enqueues goes on, as in production; the block ends with the failure, unless the test is about it."""
    went_on = []

    def application() -> None:
        ship.enqueue(Order(number=-1))
        went_on.append(True)

    with pytest.raises(JobFailed, match="there is no order -1"), queue.inline():
        application()
    with queue.inline(raises=False):
        ship.enqueue(Order(number=-2))

    assert [True] == went_on
    assert 2 == len(queue.failures)


def test_inline_what_is_enqueued_while_a_drain_ends_has_run_too(queue: TrialQueue) -> None:
    """Here by a receiver that waits until the worker of that drain has gone."""
    workers = queue.tasks.store().workers

    async def on_completed(sender: str, event: TaskCompleted) -> None:
        while event.result == 1 and workers:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
        if event.result == 1:
            plain.enqueue(2)

    queue.tasks.signals().completed.connect(on_completed)
    with queue.inline():
        plain.enqueue(1)

    assert [(1, TaskStatus.COMPLETED), (2, TaskStatus.COMPLETED)] == [
        (task.payload, task.status) for task in queue.enqueued()
    ]


def test_inline_tells_what_happens_in_its_order(queue: TrialQueue) -> None:
    """A task is created before it completes, for those who listen, too."""
    told: list[str] = []
    receivers = [lambda sender, event: told.append(event.signal)] * 3
    signals = queue.tasks.signals()
    for signal in (signals.created, signals.started, signals.completed):
        signal.connect(receivers[0], weak=False)

    with queue.inline():
        plain.enqueue(1)

    assert ["created", "started", "completed"] == told


def test_plain_unittest_needs_no_more() -> None:
    """The kit has no need of pytest."""
    carrier = Carrier()

    class Shipping(unittest.TestCase):
        def setUp(self) -> None:
            self.queue = self.enterContext(TrialQueue(jobs, services={Carrier: carrier}))

        def test_it_ships(self) -> None:
            ship.enqueue(SEVEN)
            self.queue.assert_enqueued(ship, SEVEN, count=1)
            assert 1 == self.queue.drain()

    outcome = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Shipping).run(outcome)

    assert ([], [], 1, [7]) == (outcome.errors, outcome.failures, outcome.testsRun, carrier.taken)
