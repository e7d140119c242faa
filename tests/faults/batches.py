"""The batch job that worker processes of these tests run; each item writes into the ledger that it was done."""

import asyncio

from app import BatchJob, Constant, JobCatalog, TaskContext
from tests.faults.jobs import write

jobs = JobCatalog()


class Counting(BatchJob[int, int, None]):
    concurrency = 4

    def items(self, payload: int, context: TaskContext) -> range:
        return range(payload)

    async def process(self, item: int, context: TaskContext) -> None:
        await asyncio.sleep(0.01)
        write(context, f"item {item}")


counting = jobs.add(Counting("counting", retry=Constant(0), max_attempts=3))
