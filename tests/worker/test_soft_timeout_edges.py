"""Soft timeouts where nothing can be thrown at once: on a busy loop, in threads and batches, beside other limits."""

import asyncio
import time
from typing import Any

import pytest

from app import BatchJob, Constant, InvalidInput, Job, JobCatalog, SoftTimeout, TaskContext, TaskStatus
from tests.worker.running import Rig

SOON = {"soft_timeout": 0.1, "timeout": 30}


async def forever() -> None:
    await asyncio.sleep(60)


async def test_one_that_waits_for_nothing_until_then_is_told_at_its_next_await(rig: Rig) -> None:
    """The event loop was its own; and one that has returned is not told at all."""
    seen: list[str] = []

    async def busy(payload: Any, context: TaskContext) -> None:
        time.sleep(0.2)
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        except SoftTimeout:
            seen.append("told")

    async def returns(payload: Any, context: TaskContext) -> str:
        time.sleep(0.2)
        return "in time"

    rig.define("returns", returns, **SOON)
    await rig.ran(busy, **SOON)
    found = await rig.drained(rig.enqueue("returns"))

    assert (["told"], "in time") == (seen, found.result)


async def test_hooks_and_middleware_are_not_on_it(rig: Rig) -> None:
    """What comes after the handler is not broken off; the hard timeout is for all of it."""

    async def slowly(payload: Any, context: TaskContext, result: Any) -> None:
        await asyncio.sleep(0.3)

    async def handler(payload: Any, context: TaskContext) -> str:
        return "done"

    found = await rig.ran(handler, after=[slowly], **SOON)

    assert (TaskStatus.COMPLETED, "done") == (found.status, found.result)


async def test_a_thread_asks(rig: Rig) -> None:
    """check() raises from then on; nothing else happens to it before the hard timeout."""

    def handler(payload: Any, context: TaskContext) -> Any:
        context.check()
        left = context.time_left()
        assert left is not None
        assert left <= 30
        try:
            while True:
                context.check()
                time.sleep(0.01)
        except SoftTimeout as error:
            with pytest.raises(SoftTimeout):
                context.check()
            return error.seconds

    found = await rig.ran(handler, **SOON)

    assert (TaskStatus.COMPLETED, 0.1) == (found.status, found.result)


async def test_a_batch_begins_nothing_more(rig: Rig) -> None:
    """The items under way end; the attempt fails of it, and the next one does the rest."""

    class Slowly(BatchJob[Any, int, int]):
        concurrency = 2

        def items(self, payload: Any, context: TaskContext) -> list[int]:
            return list(range(6))

        async def process(self, item: int, context: TaskContext) -> int:
            while (context.time_left() or 0) > 29.4:  # noqa: ASYNC110  # nobody sets an event
                await asyncio.sleep(0.01)
            return item

    rig.jobs.add(Slowly("slowly", soft_timeout=0.5, timeout=30, retry=Constant(0), max_attempts=3))
    found = await rig.drained(rig.enqueue("slowly"))

    assert (TaskStatus.COMPLETED, 3, 6) == (found.status, found.attempts, found.result["succeeded"])
    assert ["SoftTimeout"] * 2 == [error.type.rpartition(".")[2] for error in found.errors]


async def test_items_may_ask_too(rig: Rig) -> None:
    """An item that stops for it is not a failed one."""

    class Asking(BatchJob[Any, int, int]):
        concurrency = 1

        def items(self, payload: Any, context: TaskContext) -> list[int]:
            return [1]

        def process(self, item: int, context: TaskContext) -> int:
            while context.task.attempts == 1:
                context.check()
                time.sleep(0.01)
            return item

    rig.jobs.add(Asking("asking", soft_timeout=0.1, timeout=30, retry=Constant(0), max_attempts=2))
    found = await rig.drained(rig.enqueue("asking"))

    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert found.errors[0].type.endswith("SoftTimeout")


@pytest.mark.parametrize("wrong", [0, -1, "soon", 60, 61])
def test_it_must_be_less_than_the_timeout(wrong: Any) -> None:
    """Said at the definition, where both are known."""
    with pytest.raises(InvalidInput, match="soft_timeout"):
        Job("job", lambda payload, context: None, soft_timeout=wrong, timeout=60)


async def test_a_shorter_timeout_of_the_task_comes_first(rig: Rig) -> None:
    """Which nobody knows at the definition."""

    async def handler(payload: Any, context: TaskContext) -> None:
        await forever()

    rig.define("job", handler, soft_timeout=20, max_attempts=1)
    found = await rig.drained(rig.enqueue("job", timeout=0.1))

    assert "AttemptTimedOut: no result within 0.1 s" == found.error


def test_a_job_without_one_is_called_as_it_is() -> None:
    """Nothing is put around its handler."""
    from app.worker.layers import handler_of

    async def handler(payload: Any, context: TaskContext) -> None: ...

    jobs = JobCatalog()
    job = jobs.define("job")(handler)

    assert handler_of(job) is handler
