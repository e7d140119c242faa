"""Attempt: what a handler's thread does when it comes too late."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.worker.attempt import Attempt
from app.worker.calls import Call
from app.worker.interruption import Interruption
from tests.examples import a_task


class SlowToStart:
    """A host whose threads begin only when told to."""

    max_result = 1_000
    cancel_grace = 60.0

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: list[Callable[[], None]] = []
        self.outcomes: list[Outcome | None] = []
        self.told: list[str] = []

    def submit(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    async def offload(self, work: Callable[[], Any], context: TaskContext) -> Any:
        return await asyncio.to_thread(work)

    def tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(callback, *arguments)

    def is_shutting_down(self) -> bool:
        return False

    def report(self, attempt: Attempt, *report: Any) -> None:
        self.told.append("report")

    def ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.outcomes.append(outcome)

    def in_doubt(self, attempt: Attempt, outcome: Outcome, completed: Completed | None) -> None:
        self.told.append("in doubt")

    def left(self, attempt: Attempt) -> None:
        self.told.append("left")

    def gone(self, attempt: Attempt) -> None:
        self.told.append("gone")


@pytest.mark.parametrize(
    ("why", "told"), [(Interruption.SHUTDOWN, ["left", "gone"]), (Interruption.CANCELLED, [])], ids=str
)
async def test_a_thread_that_comes_too_late_does_not_run_the_task(why: Interruption, told: list[str]) -> None:
    """Given back, somebody else may be running it by then; cancelled, nobody wants it."""
    called: list[Any] = []

    def handler(payload: Any, context: TaskContext) -> None:
        called.append(context)

    host = SlowToStart()
    attempt = Attempt(
        a_task(),
        Job(type="late", handler=handler),
        Call(handler, is_asynchronous=False, has_grace=True),
        host,
        worker_id="w",
        timeout=60,
    )
    attempt.start()
    attempt.interrupt(why)

    await asyncio.to_thread(host.waiting[0])
    await asyncio.sleep(0)

    assert ([], [Released()], told) == (called, host.outcomes, host.told)
