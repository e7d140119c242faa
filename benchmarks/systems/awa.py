"""awa-pg: a queue whose engine is written in Rust, with handlers in Python."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from awa import AsyncClient, Job

from benchmarks.shared.process import main
from benchmarks.shared.system import Producer, System, Work

_QUEUE = "bench"
_WORKERS = 1024
_CONNECTIONS = 24

# What is completed stays in batches until its ring slot is pruned, which adds it to the rollups.
_FINISHED = """
SELECT (SELECT coalesce(sum(cardinality(job_ids)), 0) FROM awa.receipt_completion_batches)
     + (SELECT count(*) FROM awa.done_entries WHERE state = 'completed')
     + (SELECT coalesce(sum(pruned_completed_count), 0) FROM awa.queue_terminal_rollups)
"""


@dataclass
class Noop:
    n: int


def _client(url: str, connections: int) -> AsyncClient:
    # Its URL parser wants a host; the one among the parameters, the socket's folder, goes before it.
    return AsyncClient(url.replace("@/", "@localhost/"), max_connections=connections)


class AwaProducer(Producer):
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._enqueued = 0

    async def enqueue(self, number: int) -> None:
        await self._client.insert(Noop(n=number), queue=_QUEUE)
        self._enqueued += 1

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        await self._client.enqueue_many_copy([Noop(n=number) for number in numbers], queue=_QUEUE)
        self._enqueued += len(numbers)

    async def settled(self, numbers: range) -> bool:
        return await self._count(_FINISHED) == self._enqueued

    async def counts(self) -> tuple[int, int]:
        finished = await self._count(_FINISHED)
        pruned = await self._count("SELECT coalesce(sum(pruned_completed_count), 0) FROM awa.queue_terminal_rollups")
        kept = await self._count("SELECT count(*) FROM awa.ready_entries")
        return kept - (finished - pruned), finished

    async def _count(self, query: str) -> int:
        transaction = await self._client.transaction()
        try:
            row = await transaction.fetch_one(f"SELECT ({query})::bigint AS n")
        finally:
            await transaction.rollback()
        return int(row["n"])


class Awa(System):
    name = "awa"
    distributions = ("awa-pg",)
    settings = {
        "storage": "queue storage, its vacuum-aware engine of 0.6, activated as in its own benchmarks",
        "workers": f"{_WORKERS} in the process, as in the reference of its ADR 26 (10,000 tasks a second)",
        "AWA_COMPLETION_SHARDS": "1, its default below 512 workers, instead of 4: that made the drain 1.8 times as "
        "fast on two cores",
        "AWA_COMPLETION_BATCH_SIZE and AWA_COMPLETION_FLUSH_MS": "as they come, 512 and 1: more of either did not help",
        "claim_batch_size and claimers": "as they come, 512 and 1, as in that reference: 1,024 and 2 were no faster",
        "poll interval": "200 ms (its default); notifications come first",
        "enqueue_shards": "1 (its default, strict first in, first out): with 4, producers that start together fail on "
        "a sequence that both make",
        "connections": f"{_CONNECTIONS}: four for the queue and twenty, as its docs size a pool",
        "enqueue": "AsyncClient.insert; the sync client's was no faster for a lone producer",
        "bulk": "enqueue_many_copy, the direct COPY, 10,000 at a time: 50,000 were no faster to drain",
        "event loop": "asyncio's: uvloop made no difference that stood out",
        "sync handlers": "asyncio.to_thread: a plain function as a handler is refused",
    }

    async def install(self, url: str) -> None:
        client = _client(url, 4)
        await client.migrate()
        await client.install_queue_storage()
        await client.close()

    @asynccontextmanager
    async def producer(self, url: str, producers: int) -> AsyncIterator[Producer]:
        client = _client(url, max(4, producers))
        yield AwaProducer(client)
        await client.close()

    async def work(self, work: Work) -> None:
        os.environ["AWA_COMPLETION_SHARDS"] = "1"
        client = _client(work.url, _CONNECTIONS)
        mark = work.mark

        if work.sync:

            async def noop(job: "Job[Noop]") -> None:
                await asyncio.to_thread(mark, job.args.n)
        else:

            async def noop(job: "Job[Noop]") -> None:
                mark(job.args.n)

        client.task(Noop, queue=_QUEUE)(noop)
        await client.start([{"name": _QUEUE, "max_workers": _WORKERS}])
        await work.stop.wait()
        await client.shutdown(timeout_ms=5000)
        await client.close()


if __name__ == "__main__":
    main(Awa())
