"""A bulk requeue of many dead letters, its worker killed in the middle: how long it takes, and that none is lost."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from app import JobCatalog, NewTask, TaskQueueContainer
from app.domain.dead_letters.actions import WORK, LetterAction
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import ClaimRequest, Settlement
from app.domain.workers import WorkerNode
from app.infra.settings import Settings
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.settle import SettleTasks
from app.usecases.workers import RegisterWorker, RemoveWorker
from benchmarks.environments import FOLDER, ROOT
from benchmarks.server import server

TYPE = "bench:letter"
LEASE = 2
BATCH = 500
PATIENCE = 600


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dead_letters", description=__doc__)
    parser.add_argument("--letters", type=int, default=100_000, metavar="N")
    number: int = parser.parse_args().letters
    with server(FOLDER / "server") as running:
        database = running.create("letters")
        url = running.url_of(database)
        tasks = TaskQueueContainer(settings=Settings(database_url=url), jobs=JobCatalog())
        try:
            tasks.migrations().upgrade()
            _fill(tasks, number)
            undisturbed = _requeue(tasks, url, number, is_killed=False)
            print(f"{number:,} dead letters requeued in {undisturbed:.1f} s, {number / undisturbed:,.0f} a second")
            _fill(tasks, 0)
            disturbed = _requeue(tasks, url, number, is_killed=True)
            print(f"the same with kill -9 in the middle: {disturbed:.1f} s, with a lease of {LEASE} s to wait for")
            return _checked(url, number)
        finally:
            tasks.close()


def _fill(tasks: TaskQueueContainer, number: int) -> None:
    """Let *number* new tasks die, and all that wait; the statistics of the tables are made anew."""
    node = WorkerNode(id="mortuary", name="mortuary", lease=PATIENCE, concurrency=1, types=(TYPE,))
    unit_of_work = tasks.unit_of_work()
    unit_of_work.run(RegisterWorker(), node)
    for start in range(0, number, 10_000):
        many = min(10_000, number - start)
        tasks.enqueue_tasks().execute([NewTask(type=TYPE, payload={"n": start + n}) for n in range(many)])
    request = ClaimRequest(worker_id=node.id, types=(TYPE,), limit=BATCH)
    outcome = Failed(Failure("builtins.ValueError", "no"))
    while claimed := unit_of_work.run(ClaimTasks(), request).tasks:
        unit_of_work.run(SettleTasks(), [Settlement(task, outcome) for task in claimed])
    unit_of_work.run(RemoveWorker(), node.id)


def _requeue(tasks: TaskQueueContainer, url: str, number: int, *, is_killed: bool) -> float:
    """Seconds from the asking until all is on record as done."""
    with _worker(url) as first:
        _until(lambda: len(tasks.check_queue().execute().workers) > 0)
        began = time.monotonic()
        asked = tasks.requeue_dead_letters().execute(by="benchmark")
        assert asked.action is not None
        action_id = asked.action.id

        def action() -> LetterAction:
            found: LetterAction = tasks.find_dead_letter_action().execute(action_id)
            return found

        if not is_killed:
            _until(lambda: action().ended_at is not None)
            return time.monotonic() - began
        _until(lambda: action().done >= number // 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        print(f"killed when {action().done:,} were done")
        with _worker(url):
            _until(lambda: action().ended_at is not None)
            return time.monotonic() - began


def _checked(url: str, number: int) -> int:
    """0 when each letter came back once in each of the two rounds, and the record says so."""
    with psycopg.connect(url) as connection:
        back = connection.execute(
            "SELECT count(*), count(DISTINCT id), min(requeues), max(requeues) FROM worker.tasks WHERE type = %s",
            [TYPE],
        ).fetchone()
        left = connection.execute("SELECT count(*) FROM worker.finished_dead").fetchone()
        done = connection.execute("SELECT array_agg(done ORDER BY id) FROM worker.dead_letter_actions").fetchone()
    found = (back, left, done)
    is_right = found == ((number, number, 2, 2), (0,), ([number, number],))
    verdict = "none lost, none twice" if is_right else "WRONG"
    print(f"waiting again, different ones, requeued at least and at most: {back}; left {left}; on record {done}")
    print(verdict)
    return 0 if is_right else 1


@contextmanager
def _worker(url: str) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {
        "DATABASE_URL": url,
        "WORKER_TASK_TYPES": WORK,
        "WORKER_LEASE": str(LEASE),
        "WORKER_STALE_CHECK_INTERVAL": "0.5",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "app", "worker"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=FOLDER, env=environment, stdout=quiet, stderr=quiet)  # noqa: S603  # ours
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s in vain")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
