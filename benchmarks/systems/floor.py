"""The floor: bare driver code on the simplest fenced table, claiming and finishing batches and running no handler."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

import asyncpg

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_BATCH = 500
_POLL = 1.0

_TABLE = """
CREATE TABLE tasks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    n int NOT NULL,
    queue text NOT NULL DEFAULT 'default',
    priority int NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    worker int,
    lease_seq int NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX tasks_ready ON tasks (queue, priority DESC, run_at, id);
"""
_CLAIM = """
WITH ready AS MATERIALIZED (
    SELECT id FROM tasks WHERE queue = 'default' AND worker IS NULL AND run_at <= now()
    ORDER BY priority DESC, run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE tasks SET worker = $2, lease_seq = lease_seq + 1 FROM ready WHERE tasks.id = ready.id
RETURNING tasks.id, tasks.lease_seq
"""
_FINISH = """
DELETE FROM tasks USING unnest($1::bigint[], $2::int[]) AS held (id, lease_seq)
WHERE tasks.id = held.id AND tasks.lease_seq = held.lease_seq RETURNING n
"""
_ADD = "INSERT INTO tasks (n) VALUES ($1)"


class FloorProducer(Producer):
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._news = asyncio.Event()

    async def enqueue(self, number: int) -> None:
        await self._pool.execute(_ADD, number)
        self._news.set()

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        run_at = datetime.now(UTC) + timedelta(days=30 if shape == "scheduled" else 0)
        queue, priority = "other" if shape == "queue" else "default", -1 if shape == "priority" else 0
        await self._pool.copy_records_to_table(
            "tasks",
            records=((number, queue, priority, run_at) for number in numbers),
            columns=("n", "queue", "priority", "run_at"),
        )
        self._news.set()

    async def notify(self) -> None:
        """Tell workers, beside the transactions of the tasks: a NOTIFY in them would let one commit at a time."""
        while await self._news.wait():
            self._news.clear()
            await self._pool.execute("NOTIFY floor")


class Floor(System):
    name = "floor"
    distributions = ("asyncpg",)
    settings = {
        "driver": "asyncpg: prepared statements and binary arrays at the least cost a Python driver has here",
        "table": "a claim is a HOT update (no index knows of it), the finish a fenced DELETE: the cheapest shape of "
        "hot-path.md; no payload, no history, no retries",
        "batch": "500, as the issue says; one transaction claims, one finishes",
        "notify": "one NOTIFY at a time beside the inserts, and a poll each second",
    }
    cannot = {
        "W5.history": "it keeps no history: what is finished is deleted",
        "W7": "it runs no handler",
    }
    bulk = 100_000
    unfinished = "SELECT 1 FROM tasks WHERE n >= 0"
    # What has left the table: it is only left by the fenced DELETE.
    finished = """
        SELECT CASE WHEN is_called THEN last_value ELSE 0 END - (SELECT count(*) FROM tasks) FROM tasks_id_seq
    """

    async def install(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(_TABLE)
        await connection.close()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        async with asyncpg.create_pool(url, min_size=producers + 1, max_size=producers + 1) as pool:
            producer = FloorProducer(pool)
            notifying = asyncio.create_task(producer.notify())
            yield producer
            notifying.cancel()
            with suppress(asyncio.CancelledError):
                await notifying

    async def work(self, work: Work) -> None:
        connection = await asyncpg.connect(work.url)
        listening = await asyncpg.connect(work.url)
        news = asyncio.Event()
        await listening.add_listener("floor", lambda *_: news.set())
        stopped = asyncio.create_task(work.stop.wait())
        stopped.add_done_callback(lambda _: news.set())
        claim, finish = await connection.prepare(_CLAIM), await connection.prepare(_FINISH)
        while not work.stop.is_set():
            news.clear()
            claimed = await claim.fetch(_BATCH, work.worker)
            if not claimed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), _POLL)
                continue
            began = monotonic()
            finished = await finish.fetch([id for id, _ in claimed], [lease_seq for _, lease_seq in claimed])
            for (number,) in finished:
                work.mark(number, began)
        await listening.close()
        await connection.close()


if __name__ == "__main__":
    main(Floor())
