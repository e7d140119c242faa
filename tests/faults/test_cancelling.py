"""Cancelling tasks of worker processes: heard at once, at the latest by heartbeat, and never forgotten by anybody."""

import signal
import time

import pytest
from sqlalchemy.orm import Session

from app import NewTask, TaskStatus, WorkerTask
from tests.faults.bench import Bench
from tests.faults.proxy import Proxy
from tests.faults.waiting import measured
from tests.server import OwnServer

FAR = 3600
"""Seconds of a lease whose heartbeat no test lives to see."""


def cancel(bench: Bench, task: WorkerTask) -> None:
    """Which is accepted, while the task runs."""
    answer = bench.tasks.cancel_task().execute(task.id, reason="nobody wants it")
    assert TaskStatus.RUNNING is answer.status
    assert answer.cancel_requested_at is not None


def assert_cancelled(task: WorkerTask) -> None:
    assert (TaskStatus.CANCELLED, "nobody wants it", None) == (task.status, task.error, task.result)


@pytest.mark.parametrize("type", ["slow", "polite", "polite:thread"])
def test_a_worker_hears_of_it_at_once(bench: Bench, type: str) -> None:
    """By a notification: its heartbeat comes every quarter of an hour."""
    bench.worker(worker_lease=FAR)
    waits = []
    for _ in range(5):
        task = bench.enqueue(type, {"seconds": 600})
        bench.wait_for_note(task)
        began = time.monotonic()
        cancel(bench, task)
        assert_cancelled(bench.wait_for(task, TaskStatus.CANCELLED))
        waits.append(time.monotonic() - began)

    measured(f"{type}: cancelled to ended, ms: {sorted(round(wait * 1000) for wait in waits)}")


def test_a_deaf_worker_hears_of_it_by_its_heartbeat(bench: Bench, proxy: Proxy) -> None:
    """No notification gets through to it; four beats a lease."""
    proxy.drops_notifications = True
    worker = bench.worker(url=proxy.url, worker_lease=4, worker_poll_interval=0.2)
    worker.wait_until_said("Notifications do not arrive over this connection")
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    cancel(bench, task)

    assert_cancelled(bench.wait_for(task, TaskStatus.CANCELLED))
    assert ["began", "was cancelled"] == bench.ledger.notes(task.id)


@pytest.mark.parametrize("type", ["slow", "slow:thread"])
def test_a_worker_that_is_killed_takes_no_accepted_cancel_with_it(bench: Bench, type: str) -> None:
    """Its handler had not ended; whoever takes its tasks back ends them, and never runs this one again."""
    victim = bench.worker("victim", worker_cancel_grace=60)
    task = bench.enqueue(type, {"seconds": 600}, max_attempts=5)
    bench.wait_for_note(task)
    victim.send(signal.SIGSTOP)  # so that it cannot hear of it
    cancel(bench, task)
    victim.send(signal.SIGKILL)

    other = bench.worker("other")
    found = bench.wait_for(task, TaskStatus.CANCELLED)
    after = bench.enqueue("quick")
    bench.wait_for(after, TaskStatus.COMPLETED)

    assert_cancelled(found)
    assert (["began"], 1) == (bench.ledger.notes(task.id), found.attempts)
    assert [error.type for error in found.errors] == ["WorkerLost"]
    assert other.is_alive


def test_a_worker_that_is_stopped_during_the_grace_leaves_the_task_cancelled(bench: Bench) -> None:
    """Its own grace is shorter than that of the thread; it is not given back to be run again."""
    worker = bench.worker(worker_cancel_grace=60, worker_shutdown_grace=0.5)
    task = bench.enqueue("slow:thread", {"seconds": 600})
    bench.wait_for_note(task)
    cancel(bench, task)

    worker.stop()

    assert 0 == worker.wait_until_ended(within=10)
    assert_cancelled(bench.find(task))
    assert ["began"] == bench.ledger.notes(task.id)


def test_a_worker_frozen_for_a_moment_hears_of_it_when_it_goes_on(bench: Bench) -> None:
    """Its lease still holds, and what was said meanwhile has waited for it."""
    worker = bench.worker(worker_lease=FAR)
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    worker.send(signal.SIGSTOP)
    cancel(bench, task)
    assert TaskStatus.RUNNING is bench.find(task).status
    worker.send(signal.SIGCONT)

    assert_cancelled(bench.wait_for(task, TaskStatus.CANCELLED))
    assert ["began", "was cancelled"] == bench.ledger.notes(task.id)


def test_a_worker_frozen_past_its_lease_changes_nothing_about_it(bench: Bench) -> None:
    """Another one ends the task for it; thawed, it has nothing to store, and runs it no more either."""
    frozen = bench.worker("frozen")
    held = bench.enqueue("blocking", {"seconds": 1.5})
    bench.wait_for_note(held)
    frozen.send(signal.SIGSTOP)
    cancel(bench, held)

    bench.worker("other")
    found = bench.wait_for(held, TaskStatus.CANCELLED)
    frozen.send(signal.SIGCONT)
    bench.wait_for_note(held, "ran")
    frozen.wait_until_said("lease was lost, its outcome is dropped")

    assert_cancelled(found)
    assert_cancelled(bench.find(held))
    assert ["began", "ran"] == bench.ledger.notes(held.id)


def test_a_thousand_are_cancelled_at_once(bench: Bench) -> None:
    """In one transaction, and told in a few messages: all that run there end, and nothing else."""
    worker = bench.worker(worker_lease=FAR, worker_concurrency=1001)
    tasks = bench.tasks.enqueue_tasks().execute([_slow() for _ in range(1001)])
    ids = [task.id for task in tasks]
    bench.eventually(lambda: sum(bench.ledger.times(ids, "began")) == 1001, within=30, what="all run")
    *unwanted, wanted = tasks

    began = time.monotonic()
    with Session(bench.tasks.sync_engine()) as session, session.begin():
        for task in unwanted:
            bench.tasks.cancel_task().execute_in(session, task.id)
    committed = time.monotonic()
    stats = bench.tasks.get_task_stats()
    bench.eventually(lambda: stats.execute().cancelled == 1000, within=20, what="all but one have ended")

    measured(f"asked in {committed - began:.2f} s, ended {time.monotonic() - committed:.2f} s after the commit")
    assert TaskStatus.RUNNING is bench.find(wanted).status
    assert [1] * 1000 == bench.ledger.times(ids[:-1], "was cancelled")
    assert "lease was lost" not in worker.log


def _slow() -> NewTask:
    return NewTask(type="slow", payload={"seconds": 600})


def test_a_database_that_goes_away_does_not_keep_it_from_being_heard(
    breakable_bench: Bench, breakable: OwnServer
) -> None:
    """Accepted, never announced, and then the server is gone for a while: the first heartbeat after that brings it."""
    bench, proxy = breakable_bench, Proxy(breakable_bench.url)
    try:
        proxy.drops_notifications = True
        worker = bench.worker(url=proxy.url, worker_lease=20, worker_poll_interval=0.5)
        task = bench.enqueue("slow", {"seconds": 600})
        bench.wait_for_note(task)

        cancel(bench, task)
        breakable.stop()
        worker.wait_until_said("Heartbeat", within=20)
        assert ["began"] == bench.ledger.notes(task.id)
        breakable.start()

        assert_cancelled(bench.wait_for(task, TaskStatus.CANCELLED, within=20))
        assert ["began", "was cancelled"] == bench.ledger.notes(task.id)
    finally:
        proxy.close()
