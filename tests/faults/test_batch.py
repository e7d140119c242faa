"""kill -9 in the middle of a batch: what was remembered is not done again."""

import signal
from collections import Counter
from typing import Any

from app import TaskStatus
from app.domain.jobs.items import Items
from tests.faults.bench import Bench
from tests.faults.test_kill import CHECK, LEASE, MARGIN
from tests.faults.waiting import measured

ITEMS = 1_000


def test_a_killed_batch_goes_on_from_its_last_checkpoint(bench: Bench) -> None:
    """Run again is what ended after the last save and nothing else: at most what ends in about a second."""
    worker = bench.worker(
        worker_jobs="tests.faults.batches:jobs", worker_lease=LEASE, worker_stale_check_interval=CHECK
    )
    task = bench.enqueue("counting", ITEMS)

    def saved() -> dict[str, Any] | None:
        found = bench.find(task).checkpoint
        return found if found and found["succeeded"] >= ITEMS // 4 else None

    bench.eventually(saved, within=20, what="a quarter of the items is remembered")
    worker.send(signal.SIGKILL)
    worker.wait_until_ended(within=5)
    left = bench.find(task)
    items = Items.again(left.checkpoint, ITEMS)
    done = Counter(bench.ledger.notes(task.id))

    bench.worker("b", worker_jobs="tests.faults.batches:jobs", worker_lease=LEASE, worker_stale_check_interval=CHECK)
    found = bench.wait_for(task, TaskStatus.COMPLETED, within=LEASE + CHECK + MARGIN + 20)

    runs = Counter(bench.ledger.notes(task.id))
    again = {note for note, times in runs.items() if times > 1}
    measured(f"kill -9 with {done.total()} of {ITEMS} items done, {items.succeeded} remembered: {len(again)} run again")
    assert (TaskStatus.RUNNING, 2, ITEMS) == (left.status, found.attempts, len(runs))
    assert {f"item {index}" for index in items.waiting} & set(done) == again
    assert done.total() - items.succeeded == len(again)
    assert ITEMS // 4 <= items.succeeded < ITEMS
    assert 2 == max(runs.values())
