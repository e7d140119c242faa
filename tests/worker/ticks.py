"""What tests of ticks share: two jobs, and what must not be left behind."""

import asyncio
import threading
from typing import Any

from app import TaskContext


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def forever(payload: Any, context: TaskContext) -> None:
    await asyncio.sleep(3600)


def ours() -> set[threading.Thread]:
    """The threads of a worker; the container's own (of its pools, its herald) are not among them."""
    names = ("app-handler", "app-heartbeat", "app-verify", "app-upkeep", "app-listener")
    return {thread for thread in threading.enumerate() if thread.name.startswith(names)}
