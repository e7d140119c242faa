"""A type that no catalog here knows: left for a worker that does, said once, and never failed by an ignorant one."""

import logging
import time
from typing import Any

import pytest

from app import TaskContext, TaskStatus
from tests.faults.waiting import soon
from tests.worker.running import Rig


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def test_an_unknown_type_is_left_alone_and_warned_of_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """It stays pending with no attempt spent, while the worker runs what it knows; `check` names it too."""
    rig.define("echo", echo)
    stranger = rig.enqueue("somebody:else")
    with caplog.at_level(logging.WARNING, logger="app.worker"):
        async with rig.working():
            await soon(lambda: "somebody:else" in caplog.text, what="the worker warns")
            known = await rig.until(rig.enqueue("echo", 1), TaskStatus.COMPLETED)
            began = time.monotonic()
            await soon(lambda: time.monotonic() - began > 1.8, what="time for a second look at the types")
            problems = rig.tasks.check_queue().execute().problems

    found = rig.find(stranger)
    assert (TaskStatus.PENDING, 0, []) == (found.status, found.attempts, found.errors)
    assert 1 == caplog.text.count("'somebody:else'")
    assert any("somebody:else" in problem for problem in problems)
    assert 1 == known.result


async def test_a_worker_that_knows_the_type_takes_it(rig: Rig) -> None:
    """One that arrives later finds the task as it was enqueued."""
    task = rig.enqueue("late:comer", 3)
    await rig.tasks.worker().drain()
    assert TaskStatus.PENDING is rig.find(task).status

    rig.define("late:comer", echo)
    found = await rig.drained(task)

    assert (TaskStatus.COMPLETED, 3, 1) == (found.status, found.result, found.attempts)
