"""kill -9: whatever a worker held when it died is run by another one, and a task that kills does not go on for ever."""

import signal
import time

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.waiting import measured

LEASE, CHECK, MARGIN = 2.0, 0.5, 2.0


def test_another_worker_finishes_what_a_killed_one_began(bench: Bench) -> None:
    """The task is taken back within lease and check interval, told so, and its second attempt completes it."""
    both = bench.two_workers(listening=True, worker_lease=LEASE, worker_stale_check_interval=CHECK)
    task = bench.enqueue("slow", {"seconds": 600, "once": True})
    bench.wait_for_note(task, "began")
    killed = bench.runner_of(task)
    [other] = [worker for worker in both if worker is not killed]

    killed.send(signal.SIGKILL)
    died = time.monotonic()
    found = bench.wait_for(task, TaskStatus.COMPLETED, within=LEASE + CHECK + MARGIN)

    measured(f"run again {time.monotonic() - died:.2f} s after kill -9, lease {LEASE} s, check interval {CHECK} s")
    assert (2, other.pid) == (found.attempts, found.result)
    assert [(1, "WorkerLost")] == [(error.attempt, error.type) for error in found.errors]
    bench.wait_for_note(task, "told completed")
    told = [note for note in bench.ledger.notes(task.id) if note.startswith("told")]
    assert ["told started", "told recovered", "told failed", "told retried", "told started", "told completed"] == told


def test_a_task_that_kills_its_worker_ends_failed(bench: Bench) -> None:
    """Each death spends an attempt, and the last one ends the task with the reason, however often workers return."""
    task = bench.enqueue("deadly", max_attempts=2)

    def supervise() -> bool:
        if not any(worker.is_alive for worker in bench.workers):
            bench.worker(ready=False, worker_lease=1, worker_stale_check_interval=0.3)
        return bench.find(task).status is TaskStatus.FAILED

    bench.eventually(supervise, within=40, what="the deadly task has failed")

    found = bench.find(task)
    assert (2, 2) == (found.attempts, len(bench.ledger.pids(task.id)))
    assert [(1, "WorkerLost"), (2, "WorkerLost")] == [(error.attempt, error.type) for error in found.errors]
    assert "fell silent while running attempt 2" in (found.error or "")
