"""What tests of cancelling share: handlers that note what they see, and the moment in which they are cancelled."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from app import (
    AttemptCancelled,
    TaskContext,
    TaskStatus,
    WorkerTask,
)
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig

QUIET: dict[str, Any] = QUICK | {"worker_lease": 3600, "worker_cancel_grace": 2}
"""A lease so long that no heartbeat comes in between; and handlers in threads have two seconds."""


class Handlers:
    """Handlers that note what they see."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.seen: list[Any] = []

    async def waits(self, payload: Any, context: TaskContext) -> str:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append((context.is_cancelled(), context.is_shutting_down()))
            raise
        return "slept"

    def asks(self, payload: Any, context: TaskContext) -> str:
        self.began.set()
        while not context.is_cancelled():
            time.sleep(0.01)
        self.seen.append((context.is_cancelled(), context.is_shutting_down()))
        return "put everything in order"

    def checks(self, payload: Any, context: TaskContext) -> None:
        self.began.set()
        while True:
            try:
                context.check()
            except AttemptCancelled:
                self.seen.append((context.is_cancelled(), context.is_shutting_down()))
                raise
            time.sleep(0.01)

    def named(self, name: str) -> Any:
        return getattr(self, name)


@contextlib.asynccontextmanager
async def cancelled(rig: Rig, handlers: Handlers, task: WorkerTask) -> AsyncIterator[Any]:
    """A worker at work on *task*, which was cancelled the moment its handler had begun."""
    async with rig.working() as worker:
        await soon(handlers.began.is_set, what="the handler has begun")
        answer = rig.tasks.cancel_task().execute(task.id, reason="nobody wants it")
        assert TaskStatus.RUNNING is answer.status
        assert answer.cancel_requested_at is not None
        yield worker


def assert_cancelled(task: WorkerTask) -> None:
    assert (TaskStatus.CANCELLED, "nobody wants it") == (task.status, task.error)
    assert task.finished_at is not None
    assert task.cancel_requested_at is None
