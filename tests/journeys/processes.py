"""The jobs of several worker processes: which one ran it, and ends that are not good ones."""

import asyncio
import os
import signal
from typing import Any

from app import Constant, JobCatalog, TaskContext

jobs = JobCatalog()


@jobs.define("pid")
async def pid(payload: float, context: TaskContext) -> int:
    await asyncio.sleep(payload)
    return os.getpid()


@jobs.define("isolated", isolation="process")
def isolated(payload: Any, context: TaskContext) -> int:
    return os.getpid()


@jobs.define("deadly", retry=Constant(0))
async def deadly(payload: Any, context: TaskContext) -> int:
    """Takes its whole worker with it, once."""
    if context.task.attempts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()
