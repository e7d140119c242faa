"""What retention costs those who work meanwhile: claims and settlements beside a day of a million tasks that goes."""

import argparse
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from app import JobCatalog, NewTask
from app.domain.identifiers import TaskIds
from app.domain.json import JsonText
from app.domain.retention_rules import RetentionRules
from app.domain.tasks.outcomes import Completed
from app.domain.tasks.repository import ClaimRequest, Settlement
from app.domain.workers import WorkerNode
from app.infra.events.signals import TaskSignals
from app.infra.postgres.migrations import Migrations
from app.infra.postgres.partitions import create
from app.infra.postgres.statements import Statements
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.infra.schemas import PydanticSchemas
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.enqueue import EnqueueTasks
from app.usecases.tasks.settle import SettleTasks
from app.usecases.workers import RegisterWorker
from app.worker.clearing import ClearingRounds
from benchmarks.server import Server, server

TYPE = "bench:noop"
CLAIMERS = 2
BATCH = 20
EVERY = 0.04
"""Seconds from one claim of a claimer to its next: together they do a thousand tasks a second."""
BEFORE = 20.0
"""Seconds of work that are measured first, without anything beside."""
AFTER = 1.0
"""Seconds that are counted as during, beyond the end of what goes on: a drop is over at once."""

_FILL = """
INSERT INTO worker.finished (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, started_at,
                             attempts, payload, result, finished_at)
SELECT gen_random_uuid(), 'bench:noop', 'default', CASE WHEN mod(n, 100) < {stays} THEN 'failed' ELSE 'completed' END,
       0, 3, day, day, day + n * interval '50 ms', 1,
       '{{"to": "ada@example.org", "subject": "Nothing of importance", "number": 12345678}}', '{{"sent": true}}',
       day + n * interval '50 ms'
FROM generate_series(1, {rows}) n, (SELECT timestamptz '{day} 00:00:00+00' AS day) d
"""
_COUNT = """
INSERT INTO worker.tallies (day, type, queue, status, number)
SELECT CAST(finished_at AT TIME ZONE 'UTC' AS date), type, queue, status, count(*) FROM worker.finished
WHERE finished_at < '{day} 00:00:00+00'::timestamptz + interval '1 day' GROUP BY 1, 2, 3, 4
"""


@dataclass(slots=True)
class Timings:
    """When claims and settlements began, and how long each took."""

    claims: list[tuple[float, float]] = field(default_factory=list)
    settles: list[tuple[float, float]] = field(default_factory=list)


class Load:
    """Claimers that each take a batch at a steady pace and complete it."""

    def __init__(self, unit_of_work: PostgresUnitOfWork, tasks: int) -> None:
        self.timings = Timings()
        self._unit_of_work = unit_of_work
        self._is_over = threading.Event()
        enqueue = EnqueueTasks(JobCatalog(), TaskIds(), 3, 1_000_000, PydanticSchemas())
        for _ in range(0, tasks, 5_000):
            unit_of_work.run(enqueue, [NewTask(type=TYPE, payload={"number": number}) for number in range(5_000)])
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(CLAIMERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        id_ = f"bench-{number}"
        node = WorkerNode(id=id_, name=id_, lease=3600, concurrency=BATCH, types=(TYPE,), queues=())
        self._unit_of_work.run(RegisterWorker(), node)
        request = ClaimRequest(worker_id=id_, types=(TYPE,), queues=("default",), limit=BATCH)
        done = Completed(JsonText.of({"sent": True}, field="result"))
        due = time.monotonic()
        while not self._is_over.wait(max(0.0, due - time.monotonic())):
            due = max(due + EVERY, time.monotonic() - 1)  # what a hiccup held up is made up for, a second of it at most
            began = time.monotonic()
            claimed = self._unit_of_work.run(ClaimTasks(), request).tasks
            between = time.monotonic()
            self.timings.claims.append((began, between - began))
            if not claimed:
                raise SystemExit("Nothing was left to claim: this machine needs more tasks to begin with")
            self._unit_of_work.run(SettleTasks(), [Settlement(task, done) for task in claimed])
            self.timings.settles.append((between, time.monotonic() - between))


def measured(found: Server, name: str, *, rows: int, stays: int) -> None:
    """One day of *rows* tasks of which *stays* percent are kept longer; prints what others felt of its end."""
    url = make_url(found.url_of(found.create(name))).set(drivername="postgresql+psycopg")
    engine = create_engine(url, pool_size=10)
    try:
        Migrations(engine, "worker").upgrade()
        _fill(engine, rows, stays)
        unit_of_work = PostgresUnitOfWork(engine, None, TaskSignals(), "worker")
        rounds = ClearingRounds(unit_of_work, RetentionRules.of("completed=1d, failed=1000d"))
        with Load(unit_of_work, tasks=150_000) as load:
            time.sleep(2)
            start = time.monotonic()
            time.sleep(BEFORE)
            begun = time.monotonic()
            removed = moved = steps = 0
            while removed < rows * (100 - stays) // 100:
                done = rounds.round(threading.Event().wait)
                removed, moved, steps = removed + done.removed, moved + done.moved, steps + 1
            ended = time.monotonic()
            time.sleep(AFTER + 1)
        print(f"\n{name}: {removed:,} gone, {moved:,} moved in {ended - begun:.2f} s, {steps} round(s)")
        for what, timings in (("claim", load.timings.claims), ("settle", load.timings.settles)):
            before = [took for at, took in timings if start <= at < begun]
            during = [took for at, took in timings if at + took >= begun and at < ended + AFTER]
            print(
                f"  {what:<7}{_told(before)}   during {_told(during)}   p99 × {_at(during, 99) / _at(before, 99):.2f}"
            )
    finally:
        engine.dispose()
        found.drop(name)


def _fill(engine: Engine, rows: int, stays: int) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    with engine.begin() as connection:
        create(Statements(connection, "worker"), day)
        connection.exec_driver_sql(_FILL.format(rows=rows, stays=stays, day=day))
        connection.exec_driver_sql(_COUNT.format(day=day))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE worker.finished"))
        connection.execute(text("CHECKPOINT"))


def _at(seconds: Sequence[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)]


def _told(seconds: Sequence[float]) -> str:
    figures = " ".join(f"p{percent} {_at(seconds, percent) * 1000:.1f}" for percent in (50, 99))
    return f"{figures} max {max(seconds) * 1000:.1f} ms of {len(seconds)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--stays", type=int, nargs="*", default=[0, 10], help="percent of the day that is kept longer")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "postgres") as found:
        for stays in args.stays:
            measured(found, f"stays_{stays}", rows=args.rows, stays=stays)


if __name__ == "__main__":
    main()
