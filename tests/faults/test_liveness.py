"""Liveness: the living are never taken for dead, whatever their handlers do and whatever the database did."""

import time
from typing import LiteralString

import psycopg

from app import TaskStatus, WorkerTask
from app.domain.tasks.repository import ClaimRequest
from app.domain.workers import WorkerNode
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.workers import Beat, RegisterWorker
from tests.faults.bench import Bench

SET_BACK = "UPDATE worker.workers SET last_seen_at = last_seen_at - interval '10 s'"


def test_a_handler_that_blocks_the_loop_longer_than_the_lease_is_left_alone(bench: Bench) -> None:
    """The heart beats in a thread, so a second worker which looks for dead ones finds none."""
    both = bench.two_workers(worker_lease=1, worker_stale_check_interval=0.2)

    task = bench.enqueue("blocking", {"seconds": 3})
    found = bench.wait_for(task, TaskStatus.COMPLETED)

    assert (1, []) == (found.attempts, found.errors)
    assert found.result in {worker.pid for worker in both}
    assert "fell silent" not in bench.logs()


def test_a_newcomer_gives_the_living_time_to_beat(bench: Bench) -> None:
    """After an outage every lease has run out, which whoever starts just then cannot know: it buries nobody yet."""
    living, dead = _claimed_by(bench, "living"), _claimed_by(bench, "dead")
    _run(bench, SET_BACK)

    bench.worker(worker_lease=2)
    began = time.monotonic()
    bench.eventually(lambda: time.monotonic() - began > 1, what="the pause of a heart between its tries is over")

    def dead_is_recovered() -> bool:
        _beat(bench, "living")
        return bench.find(dead).status is TaskStatus.COMPLETED

    bench.eventually(dead_is_recovered, what="the dead worker's task was taken back and run")
    found = bench.find(living)
    assert (TaskStatus.RUNNING, "living", 1) == (found.status, found.worker_id, found.attempts)


def test_a_beat_that_took_long_is_followed_by_another_at_once(bench: Bench) -> None:
    """What it brought is the time of its beginning, by now old: others would wait for the next in vain."""
    bench.worker(worker_lease=24)  # a beat every six seconds
    now, last_seen = "SELECT clock_timestamp()", "SELECT last_seen_at FROM worker.workers"

    with psycopg.connect(bench.url) as holding:
        holding.execute("SELECT 1 FROM worker.workers FOR UPDATE")
        bench.eventually(lambda: bench.waiting_for_locks("%UPDATE worker.workers%"), what="the beat waits for its row")
        began = time.monotonic()
        bench.eventually(lambda: time.monotonic() - began > 2.5, what="that was long")
        released = holding.execute(now).fetchall()
    with psycopg.connect(bench.url, autocommit=True) as watching:
        bench.eventually(
            lambda: watching.execute(last_seen).fetchall() > released,
            within=4,
            what="the row shows a beat that began after the trouble",
        )


def test_two_workers_with_one_name_do_not_disturb_each_other(bench: Bench) -> None:
    """WORKER_ID is a name to show: both live, and each of 200 tasks runs once."""
    both = [bench.worker("twin", ready=False, worker_concurrency=10) for _ in range(2)]
    for worker in both:
        worker.wait_until_ready()

    tasks = bench.enqueue_many("short", 200)
    bench.wait_for_all(tasks, within=20)

    ran = bench.ledger.times([task.id for task in tasks])
    pids = {pid for task in tasks for pid in bench.ledger.pids(task.id)}
    assert [1] * 200 == ran
    assert {worker.pid for worker in both} == pids
    assert 2 == len({bench.find(task).worker_id for task in tasks})


def _claimed_by(bench: Bench, worker_id: str) -> WorkerTask:
    """A task that runs under a worker of this name, which exists in the database only."""
    unit_of_work = bench.tasks.unit_of_work()
    node = WorkerNode(id=worker_id, name=worker_id, lease=2, concurrency=1, types=("quick",))
    unit_of_work.run(RegisterWorker(), node)
    bench.enqueue("quick")
    [task] = unit_of_work.run(
        ClaimTasks(), ClaimRequest(worker_id=worker_id, types=("quick",), queues=(), limit=1)
    ).tasks
    return task


def _beat(bench: Bench, worker_id: str) -> None:
    bench.tasks.unit_of_work().run(Beat(), worker_id)


def _run(bench: Bench, statement: LiteralString) -> None:
    with psycopg.connect(bench.url) as connection:
        connection.execute(statement)
