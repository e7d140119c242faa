"""SIGTERM and SIGINT: short attempts finish, long ones are given back with none spent, and the process ends with 0."""

import signal
import time

import pytest

from app import TaskStatus, WorkerTask
from tests.faults.bench import Bench
from tests.faults.process import WorkerProcess
from tests.faults.waiting import measured

LAST_RESORT = 5.0
"""Seconds beyond the grace after which a process that cannot end in order ends all the same."""
MARGIN = 3.0


def end(worker: WorkerProcess, *, within: float, signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)) -> float:
    """Seconds from the first of *signals* to the end, which must be a good one."""
    began = time.monotonic()
    for number in signals:
        worker.send(number)
        if len(signals) > 1:
            worker.wait_until_said("stopping")
    assert 0 == worker.wait_until_ended(within=within), worker.log
    return time.monotonic() - began


def assert_given_back(bench: Bench, *tasks: WorkerTask) -> None:
    found = [bench.find(task) for task in tasks]
    assert {(TaskStatus.PENDING, 0, 0, None)} == {
        (task.status, task.attempts, len(task.errors), task.worker_id) for task in found
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_can_finish_in_time_does(bench: Bench, number: signal.Signals) -> None:
    """Short tasks and handlers that ask whether the worker is shutting down complete; a free slot takes nothing new."""
    worker = bench.worker(worker_shutdown_grace=10)
    running = [
        bench.enqueue("slow", {"seconds": 1}),
        bench.enqueue("slow:thread", {"seconds": 1}),
        bench.enqueue("polite"),
        bench.enqueue("polite:thread"),
    ]
    for task in running:
        bench.wait_for_note(task)

    worker.send(number)
    worker.wait_until_said(f"{number.name}: stopping")
    waiting = bench.enqueue("quick")

    assert 0 == worker.wait_until_ended(within=5), worker.log
    assert [worker.pid, worker.pid] + ["put everything in order"] * 2 == [bench.find(task).result for task in running]
    assert {(TaskStatus.COMPLETED, 1)} == {(bench.find(task).status, bench.find(task).attempts) for task in running}
    assert_given_back(bench, waiting)


def test_what_takes_longer_than_the_grace_is_given_back(bench: Bench) -> None:
    """Coroutines are cancelled, threads are left and said so, one that swallows its cancellation is not waited for."""
    worker = bench.worker(worker_shutdown_grace=1)
    tasks = [
        bench.enqueue("slow", {"seconds": 600}),
        bench.enqueue("slow:thread", {"seconds": 600}),
        bench.enqueue("stubborn"),
    ]
    for task in tasks:
        bench.wait_for_note(task)

    took = end(worker, within=1 + LAST_RESORT)

    measured(f"ended {took:.2f} s after SIGTERM, grace 1 s")
    assert_given_back(bench, *tasks)
    assert ["began", "was cancelled"] == bench.ledger.notes(tasks[0].id)
    assert "2 handler(s) still run; the process ends without them" in worker.log
    assert 0 == bench.tasks.get_task_stats().execute().running


def test_a_worker_with_nothing_but_coroutines_ends_by_itself(bench: Bench) -> None:
    """With every handler ended there is nobody to leave behind, and nothing that would hold the process."""
    worker = bench.worker(worker_shutdown_grace=0)
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    end(worker, within=3)

    assert_given_back(bench, task)
    assert "still run" not in worker.log


def test_a_second_signal_hurries(bench: Bench) -> None:
    """With it nobody waits for the grace: what runs is given back at once."""
    worker = bench.worker(worker_shutdown_grace=60)
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    took = end(worker, within=5, signals=(signal.SIGTERM, signal.SIGINT))

    assert took < 5
    assert_given_back(bench, task)


def test_a_worker_that_waits_for_its_database_can_be_stopped(bench: Bench) -> None:
    """It has not begun, so there is nothing to give back."""
    worker = bench.worker(url="postgresql://postgres@/nothing?host=/nowhere", ready=False)
    worker.wait_until_said("trying again until it works")

    took = end(worker, within=5)

    assert took < 5


def test_signals_without_end_hurry_and_do_no_harm(bench: Bench) -> None:
    """However many arrive, and up to the last moment, the exit code is 0 and nothing is left running."""
    worker = bench.worker(worker_shutdown_grace=60)
    task = bench.enqueue("slow", {"seconds": 600})
    bench.wait_for_note(task)

    def signalled_to_death() -> bool:
        if worker.is_alive:
            worker.stop()
        return not worker.is_alive

    bench.eventually(signalled_to_death, what="the worker ends")

    assert 0 == worker.wait_until_ended(within=1), worker.log
    assert_given_back(bench, task)


def test_a_handler_that_blocks_the_loop_for_ever_cannot_keep_the_process(bench: Bench) -> None:
    """Five seconds after the grace its tasks are given back without the loop's help, and the exit code is 0."""
    worker = bench.worker(worker_shutdown_grace=0.5)
    waits = bench.enqueue("slow", {"seconds": 600}, priority=1)
    blocks = bench.enqueue("blocking", {"seconds": 600})
    bench.wait_for_note(waits)
    bench.wait_for_note(blocks)

    took = end(worker, within=0.5 + LAST_RESORT + MARGIN)

    measured(f"ended {took:.2f} s after SIGTERM, grace 0.5 s")
    assert_given_back(bench, waits, blocks)
    assert "cannot end in good order" in worker.log
