"""The soft timeout: thrown into a coroutine where it waits, raised by context.check() in a thread, caught or not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import Constant, JobCall, SoftTimeout, TaskContext, TaskStatus
from tests.worker.running import Rig

SOON = {"soft_timeout": 0.1, "timeout": 30}

Waiting = Callable[[], Awaitable[Any]]


async def forever() -> None:
    await asyncio.sleep(60)


async def gathering() -> None:
    await asyncio.gather(forever(), forever())


async def shielding() -> None:
    inner = asyncio.ensure_future(forever())
    try:
        await asyncio.shield(inner)
    finally:
        inner.cancel()


async def waiting_for() -> None:
    await asyncio.wait_for(forever(), timeout=30)


async def within_a_timeout() -> None:
    async with asyncio.timeout(30):
        await forever()


async def in_the_end_of_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forever())


async def for_a_task() -> None:
    await asyncio.create_task(forever())


async def doing_nothing_in_turns() -> None:
    while True:  # noqa: ASYNC110  # nobody sets an event
        await asyncio.sleep(0)


async def for_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 0.5)


@pytest.mark.parametrize(
    "wait",
    [
        forever, gathering, shielding, waiting_for, within_a_timeout, in_the_end_of_a_group, for_a_task,
        doing_nothing_in_turns, for_a_thread,
    ],
)  # fmt: skip
async def test_it_is_thrown_where_a_coroutine_waits_and_may_be_caught(rig: Rig, wait: Waiting) -> None:
    """Whatever it waits for; what that has begun is ended, and the handler goes on undisturbed to a result."""
    left: list[Any] = []

    async def handler(payload: Any, context: TaskContext) -> Any:
        try:
            await wait()
        except SoftTimeout as error:
            await asyncio.sleep(0.01)
            left.extend(task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "forever")
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0.01))
            return [error.attempt, error.seconds, str(error)]

    found = await rig.ran(handler, **SOON)

    assert (TaskStatus.COMPLETED, [1, 0.1, "attempt 1 has reached its soft timeout of 0.1 s"]) == (
        found.status,
        found.result,
    )
    assert [] == left


async def test_in_the_body_of_a_group_it_comes_in_a_group_as_any_error(rig: Rig) -> None:
    """And the tasks of the group are cancelled."""
    seen: list[str] = []

    async def child() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            seen.append("child cancelled")
            raise

    async def handler(payload: Any, context: TaskContext) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await forever()
        except* SoftTimeout:
            seen.append("caught")
        return "finished"

    found = await rig.ran(handler, **SOON)

    assert ("finished", ["child cancelled", "caught"]) == (found.result, seen)


@pytest.mark.parametrize("around", [False, True])
async def test_uncaught_it_is_a_failed_attempt_of_its_own_name(rig: Rig, around: bool) -> None:
    """Hooks and middleware hear of it, the job's policies decide, and it is no cancellation to anybody."""
    heard: list[Any] = []

    async def middleware(attempt: JobCall, inner: Waiting) -> Any:
        try:
            return await inner()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async def handler(payload: Any, context: TaskContext) -> None:
        await forever()

    policies: dict[str, Any] = {**SOON, "retry": Constant(60), "should_retry": lambda error: type(error) is SoftTimeout}
    if around:
        policies |= {
            "middleware": [middleware],
            "on_error": [lambda payload, context, error: heard.append(type(error))],
        }
    found = await rig.ran(handler, **policies)

    assert (TaskStatus.PENDING, 1) == (found.status, found.attempts)
    assert "SoftTimeout: attempt 1 has reached its soft timeout of 0.1 s" == found.error
    assert "await asyncio.sleep(60)" in found.errors[0].traceback
    assert ([SoftTimeout] if around else []) == heard


async def test_what_catches_it_and_goes_on_meets_the_hard_timeout(rig: Rig) -> None:
    """It is thrown once; after that there is the time that is left."""
    thrown: list[float] = []

    async def handler(payload: Any, context: TaskContext) -> None:
        while True:
            try:
                await forever()
            except SoftTimeout:
                thrown.append(context.time_left() or 0)

    found = await rig.ran(handler, soft_timeout=0.1, timeout=2, max_attempts=1)

    assert (TaskStatus.FAILED, "AttemptTimedOut: no result within 2 s") == (found.status, found.error)
    assert 1 == len(thrown)
    assert 0 < thrown[0] <= 1.9


@pytest.mark.parametrize("own", [0.05, 0.15])
async def test_a_timeout_of_the_handler_s_own_at_the_same_time_goes_first(rig: Rig, own: float) -> None:
    """Both fell due while somebody held the event loop: it is a TimeoutError, and the soft one comes next."""
    seen: list[str] = []

    async def handler(payload: Any, context: TaskContext) -> None:
        try:
            async with asyncio.timeout(own):
                time.sleep(0.3)
                await forever()
        except TimeoutError:
            seen.append("its own")
        try:
            await forever()
        except SoftTimeout:
            seen.append("soft")

    found = await rig.ran(handler, **SOON)

    assert (TaskStatus.COMPLETED, ["its own", "soft"]) == (found.status, seen)


async def test_the_hard_timeout_at_the_same_time_goes_first(rig: Rig) -> None:
    """What is cancelled for good is not told that it may go on."""
    seen: list[type[BaseException]] = []

    async def handler(payload: Any, context: TaskContext) -> None:
        time.sleep(0.7)
        for seconds in (60, 0.05):
            try:
                await asyncio.sleep(seconds)
            except BaseException as error:
                seen.append(type(error))

    await rig.ran(handler, soft_timeout=0.4, timeout=0.5, max_attempts=1)

    assert [asyncio.CancelledError] == seen


async def test_what_was_waited_for_may_swallow_the_cancellation(rig: Rig) -> None:
    """Its result is not lost; the soft timeout is thrown at the next await."""
    seen: list[Any] = []

    async def swallows() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "an answer all the same"
        return ""

    async def handler(payload: Any, context: TaskContext) -> None:
        seen.append(await asyncio.create_task(swallows()))
        current = asyncio.current_task()
        assert current is not None
        seen.append(current.cancelling())
        try:
            await forever()
        except SoftTimeout:
            seen.append("soft")

    await rig.ran(handler, **SOON)

    assert ["an answer all the same", 0, "soft"] == seen
