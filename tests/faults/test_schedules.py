"""Schedules in worker processes that are killed, cut off, and many: a task for each tick, and never two."""

import signal
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from app import ScheduleNotFound, ScheduleRun, TaskStatus
from app.domain.identifiers import TaskId
from tests.faults.bench import Bench
from tests.faults.process import WorkerProcess
from tests.faults.waiting import measured
from tests.server import OwnServer

SECOND = timedelta(seconds=1)
OURS: dict[str, Any] = {"worker_jobs": "tests.faults.scheduled:jobs"}


def fired(bench: Bench) -> list[ScheduleRun]:
    """The runs that have a task, the earliest first."""
    try:
        runs = bench.tasks.get_schedule_history().execute("seconds", limit=1_000)
    except ScheduleNotFound:
        return []
    return [run for run in runs if run.task_id is not None][::-1]


def completed(bench: Bench) -> list[TaskId]:
    """The tasks of ticks that are done."""
    return [run.task_id for run in fired(bench) if run.task_id and run.task_status is TaskStatus.COMPLETED]


def wait_for_ticks(bench: Bench, number: int, *, within: float = 60.0) -> None:
    """Until so many more have come."""
    # A server that has just come back may cut off the one who asks first.
    [before] = bench.eventually(lambda: [len(fired(bench))], what="the history can be read")
    bench.eventually(lambda: len(fired(bench)) >= before + number, within=within, what=f"{number} more ticks")


def check(bench: Bench) -> list[ScheduleRun]:
    """That there is a task for each tick since the first, and none beside."""
    runs = fired(bench)
    assert [runs[0].tick + number * SECOND for number in range(len(runs))] == [run.tick for run in runs]
    assert len(runs) == len({run.task_id for run in runs}) == bench.tasks.get_task_stats().execute().total
    return runs


def test_five_workers_and_ten_ticks_are_ten_tasks(bench: Bench) -> None:
    """Five processes that come up at once, each of which tells the database what the code says."""
    workers = [bench.worker(str(number), ready=False, **OURS) for number in range(5)]
    for worker in workers:
        worker.wait_until_said(" runs ", within=90)
    bench.eventually(lambda: len(completed(bench)) >= 10, within=90, what="ten tasks of ticks are completed")
    for worker in workers:
        worker.stop()
    for worker in workers:
        worker.wait_until_ended(within=60)

    runs = check(bench)

    lateness = sorted(run.lateness or 0.0 for run in runs)
    measured(f"{len(runs)} ticks and tasks; late by {lateness[len(lateness) // 2] * 1000:.1f} ms at the median")
    assert 1 == "".join(worker.log for worker in workers).count("Schedules added: seconds")
    # A tick that came while the workers stopped has a task that nobody has run yet.
    done = completed(bench)
    assert [1] * len(done) == bench.ledger.times(done)
    assert 10 <= len(done) <= len(runs)


@pytest.mark.parametrize("step", ["ticks", "tasks", "schedules"])
def test_a_worker_killed_while_it_fires_loses_no_tick(bench: Bench, step: str) -> None:
    """Between storing the tick and its task, before either, and before the schedule: all of it is one transaction."""
    killed = bench.worker("killed", **OURS)
    wait_for_ticks(bench, 1)
    with psycopg.connect(bench.url) as other:
        # Whoever writes there waits; reading, and locking rows, goes on.
        other.execute(f"LOCK TABLE worker.{step} IN SHARE MODE")
        bench.eventually(lambda: bench.waiting_for_locks(f"%INTO worker.{step} %"), what=f"a tick is stopped at {step}")
        killed.send(signal.SIGKILL)
        killed.wait_until_ended(within=10)
    bench.worker("other", **OURS)
    wait_for_ticks(bench, 3)
    bench.workers[-1].stop()
    bench.workers[-1].wait_until_ended(within=60)

    runs = check(bench)

    late = max(run.lateness or 0.0 for run in runs)
    measured(f"killed at {step}: {len(runs)} ticks, {len(runs)} tasks, the latest {late:.1f} s late")


def times_cut_off(worker: WorkerProcess) -> int:
    """How often its look at schedules has found no database, each time until it works again."""
    return worker.log.count("Schedules: The database is not available")


def test_ticks_of_an_outage_are_made_up_for_when_it_is_over(breakable_bench: Bench, breakable: OwnServer) -> None:
    """The loop outlives its database, twice; by its rule for misfires every tick gets its task.

    It is away until a tick was missed: a restart may be over between two ticks, and nobody would notice.
    """
    bench = breakable_bench
    both = bench.two_workers(worker_lease=10, **OURS)
    for how in ("immediate", "fast"):
        wait_for_ticks(bench, 2)
        before = [times_cut_off(worker) for worker in both]
        breakable.stop(how)
        for worker, times in zip(both, before, strict=True):
            bench.eventually(
                partial(lambda worker, times: times_cut_off(worker) > times, worker, times),
                within=60,
                what="a look at schedules finds no database",
            )
        breakable.start()
        for worker in both:
            worker.wait_until_said("Schedules: works again", within=60, times=times_cut_off(worker))
    wait_for_ticks(bench, 3)
    for worker in both:
        worker.stop()
    for worker in both:
        worker.wait_until_ended(within=60)

    check(bench)


def test_a_worker_does_not_start_on_a_wrong_schedule(bench: Bench) -> None:
    """The command ends at once, with a sentence that names the schedule."""
    worker = bench.worker(ready=False, worker_schedules='{"seconds": {"cron": "0 0 30 2 *"}}', **OURS)

    assert 1 == worker.wait_until_ended(within=20)
    assert "error: WORKER_SCHEDULES: schedule 'seconds': cron: must name a day that exists" in worker.log
