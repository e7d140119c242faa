"""Wake-up: with a poll interval of half a minute, work begins within milliseconds all the same."""

import time

from app import TaskStatus, WorkerTask
from tests.faults.bench import Bench
from tests.faults.waiting import measured


def lateness(task: WorkerTask) -> float:
    """Seconds from due to begun, both by the database's clock."""
    assert task.started_at is not None
    return (task.started_at - task.scheduled_at).total_seconds()


def test_an_idle_worker_begins_at_once(bench: Bench) -> None:
    """A task that is due when it is enqueued is told to the worker, and one that falls due later is known to it."""
    bench.worker(worker_poll_interval=30)

    at_once = [bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED) for _ in range(10)]
    later = [bench.enqueue("quick", delay=1 + number / 10) for number in range(5)]
    on_time = [bench.wait_for(task, TaskStatus.COMPLETED) for task in later]

    measured(f"enqueued to begun, ms: {sorted(round(lateness(task) * 1000) for task in at_once)}")
    measured(f"due to begun, ms: {sorted(round(lateness(task) * 1000) for task in on_time)}")
    assert max(lateness(task) for task in at_once) < 1
    assert min(lateness(task) for task in on_time) >= 0
    assert max(lateness(task) for task in on_time) < 0.5


def test_a_freed_slot_is_refilled_at_once(bench: Bench) -> None:
    """One slot, twenty tasks: no poll and no notification comes in between."""
    bench.worker(worker_poll_interval=30, worker_concurrency=1)

    began = time.monotonic()
    tasks = bench.enqueue_many("quick", 20)
    bench.wait_for_all(tasks, within=10)

    measured(f"20 tasks one after the other: {time.monotonic() - began:.2f} s")
    assert [1] * 20 == bench.ledger.times([task.id for task in tasks])


def test_a_retry_begins_when_it_is_due(bench: Bench) -> None:
    """Put back for half a second, the task is begun then, though nobody announces it."""
    bench.worker(worker_poll_interval=30)

    found = bench.wait_for(bench.enqueue("flaky", {"delay": 0.5}), TaskStatus.COMPLETED)

    measured(f"retry due to begun: {lateness(found) * 1000:.0f} ms")
    assert 0 <= lateness(found) < 0.5
