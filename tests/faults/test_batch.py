"""kill -9 in the middle of a batch: what was remembered is not done again."""

import signal
from collections import Counter
from typing import Any

from app import TaskStatus
from app.domain.jobs.items import Items
from app.worker.batch import SAVED_AFTER
from tests.faults.bench import Bench
from tests.faults.test_kill import CHECK, LEASE, MARGIN
from tests.faults.waiting import measured

ITEMS = 1_000
AFTER = 100
"""Items that end between the last save and the kill, at least."""


def test_a_killed_batch_goes_on_from_its_last_checkpoint(bench: Bench) -> None:
    """Run again is what ended after the last save and nothing else: what ended in the last second or so."""
    asked: dict[str, Any] = {
        "worker_jobs": "tests.faults.batches:jobs",
        "worker_lease": LEASE,
        "worker_stale_check_interval": CHECK,
    }
    worker = bench.worker(**asked)
    task = bench.enqueue("counting", ITEMS)

    def saved() -> dict[str, Any] | None:
        found = bench.find(task).checkpoint
        return found if found and found["succeeded"] >= ITEMS // 5 else None

    first = bench.eventually(saved, within=20, what="a fifth of the items is remembered")
    assert first is not None
    bench.eventually(
        lambda: len(bench.ledger.notes(task.id)) >= first["succeeded"] + AFTER, what="some more items are done"
    )
    worker.send(signal.SIGKILL)
    worker.wait_until_ended(within=5)
    left = bench.find(task)
    items = Items.again(left.checkpoint, ITEMS)
    done = dict(bench.ledger.moments(task.id))

    bench.worker("b", **asked)
    found = bench.wait_for(task, TaskStatus.COMPLETED, within=LEASE + CHECK + MARGIN + 20)

    runs = Counter(bench.ledger.notes(task.id))
    again = {note for note, times in runs.items() if times > 1}
    age = max((max(done.values()) - done[note]).total_seconds() for note in again)
    measured(
        f"kill -9 with {len(done)} of {ITEMS} items done, {items.succeeded} remembered: {len(again)} run again,"
        f" the oldest {age:.2f} s before the end"
    )
    assert (TaskStatus.RUNNING, 2, ITEMS, 2) == (left.status, found.attempts, len(runs), max(runs.values()))
    assert {f"item {index}" for index in items.waiting} & set(done) == again
    assert (len(done) - items.succeeded, True) == (len(again), items.succeeded >= ITEMS // 5)
    assert age < SAVED_AFTER + MARGIN
