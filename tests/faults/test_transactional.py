"""Transactional jobs: however their worker ends, an effect is there exactly once, and with its completion."""

import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app import TaskStatus, WorkerTask
from tests.faults.bench import Bench
from tests.faults.transactional import EFFECTS, STEPS

QUICK: dict[str, Any] = {
    "worker_jobs": "tests.faults.transactional:jobs",
    "worker_lease": 1,
    "worker_stale_check_interval": 0.3,
}


class Effects:
    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(EFFECTS)

    def of(self, task: WorkerTask) -> list[int]:
        """The processes whose effects of *task* are there."""
        rows = self._connection.execute("SELECT pid FROM effects WHERE task = %s", (task.id,)).fetchall()
        return [pid for (pid,) in rows]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def effects(bench: Bench) -> Iterator[Effects]:
    effects = Effects(bench.url)
    yield effects
    effects.close()


@pytest.mark.parametrize("type", ["transactional", "transactional:thread"])
def test_an_effect_is_there_once_wherever_its_worker_was_killed(bench: Bench, effects: Effects, type: str) -> None:
    """One worker for each step between the handler's beginning and the commit's end: it dies there, by kill -9.

    The attempt that died has left its effect if and only if it has left its completion; another worker does the rest.
    """
    tasks, victims = {}, {}
    for number, step in enumerate(STEPS):
        queue = f"step-{number}"
        victims[step] = bench.worker(queue, ready=False, faults_dies_at=step, worker_queues=queue, **QUICK)
        tasks[step] = bench.enqueue(type, queue=queue)
    for step, task in tasks.items():
        bench.wait_for_note(task, within=40)
        victims[step].wait_until_ended(within=10)

    survivor = bench.worker("survivor", **QUICK)
    found = {step: bench.wait_for(task, TaskStatus.COMPLETED, within=20) for step, task in tasks.items()}

    died_before, survived = STEPS[:-1], STEPS[-1]
    assert dict.fromkeys(STEPS, -signal.SIGKILL) == {
        step: victim.wait_until_ended(within=1) for step, victim in victims.items()
    }
    assert {step: [survivor.pid] for step in died_before} | {survived: [victims[survived].pid]} == {
        step: effects.of(task) for step, task in tasks.items()
    }
    assert dict.fromkeys(died_before, (2, survivor.pid)) | {survived: (1, victims[survived].pid)} == {
        step: (task.attempts, task.result) for step, task in found.items()
    }


@pytest.mark.parametrize("type", ["transactional", "transactional:thread"])
@pytest.mark.parametrize("step", ["after the return", "before the settlement"])
def test_what_a_buried_worker_wrote_is_rolled_back(bench: Bench, effects: Effects, type: str, step: str) -> None:
    """Frozen between its write and its settlement, and taken for dead; thawed, it goes on to commit at once."""
    frozen = bench.worker("frozen", listening=True, faults_freezes_at=step, **QUICK)
    task = bench.enqueue(type)
    bench.wait_for_note(task)

    other = bench.worker("other", listening=True, **QUICK)
    found = bench.wait_for(task, TaskStatus.COMPLETED)
    frozen.send(signal.SIGCONT)
    bench.wait_for_note(task, "told lease_lost")

    frozen.wait_until_said("lease was lost, its outcome is dropped")
    assert (2, other.pid) == (found.attempts, found.result)
    assert [other.pid] == effects.of(task)
    assert 1 == bench.ledger.notes(task.id).count("told completed")


def test_a_worker_that_has_settled_and_not_committed_is_waited_for(bench: Bench, effects: Effects) -> None:
    """Its transaction holds the task, whatever its lease says: nobody runs it a second time, and it commits."""
    frozen = bench.worker("frozen", listening=True, faults_freezes_at="after the settlement", **QUICK)
    task = bench.enqueue("transactional:thread")
    bench.wait_for_note(task)

    other = bench.worker("other", **QUICK)
    workers = bench.tasks.check_queue()
    bench.eventually(
        lambda: [worker.node.name for worker in workers.execute().workers] == ["other"], what="the frozen one is buried"
    )
    assert TaskStatus.RUNNING is bench.find(task).status
    frozen.send(signal.SIGCONT)

    found = bench.wait_for(task, TaskStatus.COMPLETED)
    bench.wait_for_note(task, "told completed")
    assert (1, frozen.pid, [frozen.pid]) == (found.attempts, found.result, effects.of(task))
    assert other.is_alive
