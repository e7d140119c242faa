"""Ticks in processes of their own: several at once, told to end, and killed in the middle."""

import signal
import time
from typing import Any

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.process import START, WorkerProcess
from tests.faults.proxy import Proxy
from tests.faults.waiting import measured

LEASE, CHECK, MARGIN = 2.0, 0.5, 2.0


def tick(bench: Bench, budget: float = 60, **settings: Any) -> WorkerProcess:
    """A process that makes one tick and ends."""
    program = ("-m", "tests.faults.ticking", str(budget))
    return bench.worker("tick", ready=False, program=program, worker_lease=LEASE, **settings)


def ran(process: WorkerProcess, *, within: float = START) -> int:
    """How many attempts that process says it has run, when it has ended."""
    assert 0 == process.wait_until_ended(within=within), process.log
    [said] = [line for line in process.log.splitlines() if line.startswith("ran ")]
    return int(said.split()[1])


def test_ticks_of_several_processes_share_the_work(bench: Bench) -> None:
    """Each task is run once, and nobody stays registered."""
    tasks = bench.enqueue_many("short", 60)

    counts = [ran(process) for process in [tick(bench) for _ in range(3)]]

    assert 60 == sum(counts)
    assert [1] * 60 == bench.ledger.times([task.id for task in tasks])
    assert [] == list(bench.tasks.check_queue().execute().workers)


def test_a_tick_that_is_killed_leaves_its_tasks_to_an_ordinary_worker(bench: Bench) -> None:
    """They are taken back when its lease has run out, told so, and their second attempt completes them."""
    task = bench.enqueue("slow", {"seconds": 600, "once": True})
    killed = tick(bench)
    bench.wait_for_note(task, within=START)
    other = bench.worker("b", worker_lease=LEASE)

    killed.send(signal.SIGKILL)
    died = time.monotonic()
    found = bench.wait_for(task, TaskStatus.COMPLETED, within=LEASE + CHECK + MARGIN)

    measured(f"run again {time.monotonic() - died:.2f} s after kill -9, lease {LEASE} s, check interval {CHECK} s")
    assert (2, other.pid) == (found.attempts, found.result)
    assert [(1, "WorkerLost")] == [(error.attempt, error.type) for error in found.errors]


def test_a_tick_that_is_killed_leaves_its_tasks_to_the_next_tick(bench: Bench) -> None:
    """Where nothing else runs but ticks: one of those that follow takes them back and runs them."""
    task = bench.enqueue("slow", {"seconds": 600, "once": True})
    killed = tick(bench)
    bench.wait_for_note(task, within=START)

    killed.send(signal.SIGKILL)
    died = time.monotonic()
    counts: list[int] = []

    def completed() -> bool:
        counts.append(ran(tick(bench, budget=10)))
        return bench.find(task).status is TaskStatus.COMPLETED

    bench.eventually(completed, within=60, what="a later tick runs the task")

    measured(f"run again {time.monotonic() - died:.2f} s after kill -9, lease {LEASE} s, by tick number {len(counts)}")
    found = bench.find(task)
    assert (2, [(1, "WorkerLost")]) == (found.attempts, [(error.attempt, error.type) for error in found.errors])
    assert 1 == sum(counts)
    assert [] == list(bench.tasks.check_queue().execute().workers)


def test_the_lease_of_a_tick_is_kept_alive(bench: Bench) -> None:
    """An attempt may take longer than the lease, blocking the event loop too: nobody takes it away."""
    worker = bench.worker("b", worker_queues="other", worker_lease=LEASE)
    task = bench.enqueue("blocking", {"seconds": 3 * LEASE})

    assert 1 == ran(tick(bench), within=START + 3 * LEASE)

    assert worker.is_alive
    assert (TaskStatus.COMPLETED, 1, []) == (
        bench.find(task).status,
        bench.find(task).attempts,
        bench.find(task).errors,
    )


def test_sigterm_ends_a_tick_and_its_process(bench: Bench) -> None:
    """What can finish does, the rest is given back, and the exit code is that of the program."""
    tasks = [bench.enqueue("polite"), bench.enqueue("slow", {"seconds": 600})]
    process = tick(bench, worker_shutdown_grace=1)
    for task in tasks:
        bench.wait_for_note(task, within=START)

    process.stop()

    assert 1 == ran(process, within=10)
    assert "put everything in order" == bench.find(tasks[0]).result
    assert (TaskStatus.PENDING, 0, None) == (
        bench.find(tasks[1]).status,
        bench.find(tasks[1]).attempts,
        bench.find(tasks[1]).worker_id,
    )
    assert [] == list(bench.tasks.check_queue().execute().workers)


def test_a_tick_whose_claim_was_not_answered_gives_back_what_it_took(bench: Bench, proxy: Proxy) -> None:
    """It says that it failed, and the next one runs the task; nothing was begun, so no attempt is spent."""
    proxy.lose_the_answer_to_the_commit_of("SKIP LOCKED")
    task = bench.enqueue("quick")

    failed = tick(bench, url=proxy.url)

    assert 1 == failed.wait_until_ended(within=START)
    assert proxy.lost.is_set()
    assert "DatabaseUnavailable" in failed.log
    assert (TaskStatus.PENDING, 0, None) == (
        bench.find(task).status,
        bench.find(task).attempts,
        bench.find(task).worker_id,
    )
    assert 1 == ran(tick(bench))
    assert 1 == bench.find(task).attempts
