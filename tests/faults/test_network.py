"""A network in between: one that loses notifications, and one that goes silent without closing anything."""

import time

import psycopg

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.proxy import Proxy
from tests.faults.waiting import measured


def test_a_worker_that_hears_nothing_says_so_and_polls(bench: Bench, proxy: Proxy) -> None:
    """As behind a transaction pooler: LISTEN is accepted and nothing arrives; tasks wait for a poll, no longer."""
    proxy.drops_notifications = True
    worker = bench.worker(url=proxy.url, worker_poll_interval=0.5)

    worker.wait_until_said("Notifications do not arrive")
    bench.eventually(
        lambda: any("hears no notifications" in problem for problem in bench.tasks.check_queue().execute().problems),
        what="`check` names the deaf worker",
    )
    tasks = [bench.enqueue("quick"), bench.enqueue("quick", delay=0.2)]
    found = [bench.wait_for(task, TaskStatus.COMPLETED, within=3) for task in tasks]

    waits = [(task.started_at - task.scheduled_at).total_seconds() for task in found if task.started_at]
    measured(f"without notifications, poll interval 0.5 s: begun after {[round(wait * 1000) for wait in waits]} ms")
    assert max(waits) < 1


def test_a_notification_that_comes_together_with_the_worker_s_own_is_heard(bench: Bench, proxy: Proxy) -> None:
    """At its start it sends itself one, to know whether any arrive; what is in the same packet must not get lost."""
    proxy.pairs_notifications = True
    bench.worker(url=proxy.url, worker_poll_interval=30, worker_stale_check_interval=30, worker_lease=60)
    bench.eventually(proxy.holds_one.is_set, what="the worker's own notification is on its way")
    bench.wait_until_still(lambda: proxy.commits)

    task = bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED)

    assert task.started_at is not None
    assert (task.started_at - task.created_at).total_seconds() < 2


def test_a_database_that_hangs_cannot_keep_a_stopping_process(bench: Bench, proxy: Proxy) -> None:
    """No answer, no end of the connection either: the worker gives up at its deadline and exits with 0."""
    worker = bench.worker(url=proxy.url, worker_shutdown_grace=0.5)
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    proxy.go_silent()
    worker.stop()
    began = time.monotonic()
    code = worker.wait_until_ended(within=15)

    measured(f"ended {time.monotonic() - began:.2f} s after SIGTERM, grace 0.5 s, with a database that hangs")
    assert 0 == code


def test_a_due_task_that_is_locked_does_not_make_the_worker_spin(bench: Bench, proxy: Proxy) -> None:
    """While somebody's long transaction holds the row, it is looked at now and then, and begun soon after."""
    bench.worker(url=proxy.url)
    bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED)
    with psycopg.connect(bench.url) as somebody:
        task = bench.enqueue("quick", delay=1)
        somebody.execute("SELECT 1 FROM worker.tasks WHERE id = %s FOR UPDATE", (task.id,))
        due = time.monotonic() + 1
        bench.eventually(lambda: time.monotonic() > due, what="the task is due")
        before = proxy.commits
        bench.eventually(lambda: time.monotonic() > due + 1, what="a second has passed")
        looks = proxy.commits - before

    found = bench.wait_for(task, TaskStatus.COMPLETED, within=2)
    measured(f"{looks} transactions in the second in which the task was locked")
    assert looks < 100
    assert 1 == found.attempts
