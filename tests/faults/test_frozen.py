"""A worker that was frozen past its lease: what it still brings is refused, and it goes on under a new id."""

import signal
import time

from app import TaskStatus
from tests.faults.bench import Bench


def test_a_worker_that_was_frozen_is_refused_and_comes_back(bench: Bench) -> None:
    """Another one runs its tasks by then, and brings the result; it says so, ends what it still ran, takes new ones."""
    frozen = bench.worker("frozen", listening=True)
    # The first is awaited and can be cancelled; the second holds the loop, so that its outcome is the first thing
    # that the thawed worker has to bring.
    awaited = bench.enqueue("slow", {"seconds": 600, "once": True}, priority=1)
    held = bench.enqueue("blocking", {"seconds": 1.5})
    bench.wait_for_note(awaited)
    bench.wait_for_note(held)

    frozen.send(signal.SIGSTOP)
    other = bench.worker("other", listening=True)
    bench.wait_for_note(awaited, times=2)
    bench.wait_for_note(held, times=2)
    frozen.send(signal.SIGCONT)
    results = [bench.wait_for(task, TaskStatus.COMPLETED).result for task in (awaited, held)]

    frozen.wait_until_said("comes back under a new id")
    frozen.wait_until_said("lease was lost, its outcome is dropped", times=2)
    bench.wait_for_note(awaited, "was cancelled")
    bench.wait_for_note(held, "told lease_lost")
    bench.wait_for_note(held, "told completed")
    assert [other.pid, other.pid] == results == [bench.find(task).result for task in (awaited, held)]
    assert [2, 2] == [bench.find(task).attempts for task in (awaited, held)]
    assert 1 == bench.ledger.notes(held.id).count("told completed")

    # The only one who is left is the one that was frozen.
    other.stop()
    assert 0 == other.wait_until_ended(within=10)
    next_one = bench.enqueue("quick")
    found = bench.wait_for(next_one, TaskStatus.COMPLETED)
    assert frozen.pid == found.result
    assert (found.worker_id or "").startswith("frozen/")
    assert found.worker_id != bench.find(awaited).worker_id


def test_workers_that_were_all_frozen_at_once_bury_nobody(bench: Bench) -> None:
    """As when their machine was suspended: every lease has run out, and each one first beats and lets others beat."""
    both = bench.two_workers(worker_lease=1, worker_stale_check_interval=0.01, worker_concurrency=1)
    tasks = [bench.enqueue("slow", {"seconds": 4}) for _ in both]
    for task in tasks:
        bench.wait_for_note(task)

    for worker in both:
        worker.send(signal.SIGSTOP)
    stopped = time.monotonic()
    bench.eventually(lambda: time.monotonic() - stopped > 2, what="every lease has run out")
    for worker in both:
        worker.send(signal.SIGCONT)

    found = [bench.wait_for(task, TaskStatus.COMPLETED) for task in tasks]
    assert {(1, 0)} == {(task.attempts, len(task.errors)) for task in found}
    assert "taken for dead" not in bench.logs()
