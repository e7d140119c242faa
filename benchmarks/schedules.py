"""How late ticks are fired, and whether each gets one task, with several worker processes on one queue."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app import JobCatalog, TaskContext, TaskQueueContainer
from app.infra.settings import Settings
from benchmarks.server import Server, server

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench" / "schedules"
MINUTE = timedelta(minutes=1)

jobs = JobCatalog()


@jobs.define("nothing")
async def nothing(payload: Any, context: TaskContext) -> None: ...


LATENESS = (
    "SELECT count(*), count(DISTINCT (schedule, tick)),"
    " (SELECT count(*) FROM worker.tasks) + (SELECT count(*) FROM worker.finished),"
    " percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM fired_at - tick))"
    " FROM worker.ticks WHERE tick >= %s AND tick < %s AND task_id IS NOT NULL"
)
STARTED = (
    "SELECT percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - tick))"
    " FROM worker.ticks JOIN worker.finished ON id = task_id WHERE tick >= %s AND tick < %s"
)


@contextmanager
def workers(url: str, number: int) -> Iterator[None]:
    """So many ``python -m app worker``, which know the one job here."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    environment = kept | {
        "PYTHONPATH": str(ROOT), "DATABASE_URL": url, "WORKER_JOBS": "benchmarks.schedules:jobs",
    }  # fmt: skip
    command = [sys.executable, "-m", "app", "worker"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
        for _ in range(number)
    ]
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(60)


def measure(on: Server, name: str, anchors: Sequence[timedelta], *, processes: int, seconds: int) -> None:
    """A schedule for each of *anchors*, which ticks once a minute, so far into it."""
    url = on.url_of(on.create(name))
    tasks = TaskQueueContainer(settings=Settings(database_url=url), jobs=jobs)
    tasks.migrations().upgrade()
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    for number, anchor in enumerate(anchors):
        tasks.create_schedule().execute("nothing", key=f"{name}-{number}", every=MINUTE, anchor=midnight + anchor)
    with workers(url, processes):
        while len(tasks.check_queue().execute().workers) < processes:
            time.sleep(0.2)
        time.sleep(5)
        since = datetime.now(UTC)
        time.sleep(seconds)
        until = datetime.now(UTC)
        time.sleep(3)
    with on.connect("bench_" + name) as connection:
        [(runs, ticks, stored, late)] = connection.execute(LATENESS, (since, until)).fetchall()
        [(started,)] = connection.execute(STARTED, (since, until)).fetchall()
        [(every,)] = connection.execute("SELECT count(*) FROM worker.ticks WHERE task_id IS NOT NULL").fetchall()
    tasks.close()
    expected = sum((until - midnight - anchor) // MINUTE - (since - midnight - anchor) // MINUTE for anchor in anchors)
    print(
        f"{name}: {processes} workers, {seconds} s: {expected} ticks came, {ticks} were fired, {runs} runs;"
        f" {every} runs and {stored} tasks in all"
    )
    for what, times in (("fired", late), ("handler began", started)):
        p50, p99, worst = (1000 * value for value in times)
        print(f"    {what:<14} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   worst {worst:7.1f} ms after the tick")
    assert (expected, runs) == (ticks, ticks)
    assert every == stored


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules")
    parser.add_argument("--ticks", type=int, default=1_000, metavar="N", help="a minute")
    parser.add_argument("--workers", type=int, default=5, metavar="N", help="processes")
    parser.add_argument("--seconds", type=int, default=120, metavar="S")
    asked = parser.parse_args()
    apart = MINUTE / asked.ticks
    with server(FOLDER) as on:
        measure(
            on,
            "spread",
            [number * apart for number in range(asked.ticks)],
            processes=asked.workers,
            seconds=asked.seconds,
        )
        measure(on, "together", [timedelta()] * asked.ticks, processes=asked.workers, seconds=asked.seconds)
        measure(on, "ten", [number * MINUTE / 10 for number in range(10)], processes=asked.workers, seconds=60)


if __name__ == "__main__":
    main()
