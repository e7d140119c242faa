"""What a platform that calls by the clock would run: one tick, on the jobs and settings of the environment."""

import asyncio
import sys

from app import TaskQueueContainer


async def main(budget: float) -> int:
    tasks = TaskQueueContainer()
    try:
        return await tasks.worker().tick(budget=budget)
    finally:
        await tasks.aclose()


if __name__ == "__main__":
    sys.stdout.write(f"ran {asyncio.run(main(float(sys.argv[1])))}\n")
