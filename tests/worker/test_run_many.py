"""Many at once: jobs are run where they are called, so many at a time."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from app import InvalidInput, TaskContext
from tests.worker.running import Rig
from tests.worker.runs import assert_nothing_is_left, echo, job_of


@dataclass
class Crowd:
    """A handler that knows how many of it run at once."""

    now: int = 0
    most: int = 0
    begun: int = 0

    async def __call__(self, payload: int, context: TaskContext) -> int:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02 * (3 - payload % 3))
            if payload == 5:
                raise ValueError(payload)
            return payload
        finally:
            self.now -= 1


@pytest.mark.parametrize("persist", [False, True])
async def test_many_are_run_so_many_at_once_and_come_in_order(rig: Rig, persist: bool) -> None:
    """However long each takes, and whether or not one fails."""
    crowd = Crowd()
    rig.define("crowd", crowd)

    outcomes = await job_of(rig, "crowd").arun_many(range(12), concurrency=3, persist=persist)

    assert [None if number == 5 else number for number in range(12)] == [outcome.result for outcome in outcomes]
    assert [number != 5 for number in range(12)] == [outcome.succeeded for outcome in outcomes]
    assert (3, 12) == (crowd.most, crowd.begun)
    assert [] == await job_of(rig, "crowd").arun_many([], persist=persist)
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("persist", [False, True])
async def test_stop_on_error_begins_no_more(rig: Rig, persist: bool) -> None:
    """What had begun comes to its end, and the list ends with the last one begun."""
    crowd = Crowd()
    rig.define("crowd", crowd)

    outcomes = await job_of(rig, "crowd").arun_many(range(30), concurrency=3, persist=persist, stop_on_error=True)

    assert crowd.begun == len(outcomes) < 30
    assert list(range(len(outcomes))) == [5 if outcome.error else outcome.result for outcome in outcomes]
    assert [5] == [number for number, outcome in enumerate(outcomes) if not outcome.succeeded]


@pytest.mark.parametrize("persist", [False, True])
async def test_cancelling_many_cancels_what_runs_and_begins_no_more(rig: Rig, persist: bool) -> None:
    """What was stored is given back."""
    crowd = Crowd()
    gate = asyncio.Event()

    async def forever(payload: int, context: TaskContext) -> int:
        gate.set()
        await asyncio.sleep(3600)
        return await crowd(payload, context)

    rig.define("forever", forever)
    running = asyncio.create_task(job_of(rig, "forever").arun_many(range(9), concurrency=2, persist=persist))
    await gate.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)

    assert 0 == crowd.begun
    stats = rig.tasks.get_task_stats().execute()
    assert stats.pending == stats.total <= 2
    assert_nothing_is_left(rig)


@pytest.mark.parametrize("concurrency", [0, -1, "3"])
async def test_a_wrong_concurrency_is_refused(rig: Rig, concurrency: Any) -> None:
    """With the parameter's name."""
    rig.define("echo", echo)

    with pytest.raises(InvalidInput, match="concurrency"):
        await job_of(rig, "echo").arun_many([1], concurrency=concurrency)
