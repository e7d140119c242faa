"""Cancelling what no worker runs, but somebody who came for a task or two: they hear of it by their heartbeat."""

import asyncio

import pytest

from app import (
    JobCatalog,
    TaskQueueContainer,
)
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.cancelling import QUIET, Handlers, assert_cancelled


@pytest.fixture(params=["memory", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """On either adapter, with no heartbeat in between."""
    if request.param == "memory":
        return Settings(in_memory=True, **QUIET)
    return Settings(database_url=request.getfixturevalue("database_url"), **QUIET)


async def test_a_cancelled_task_that_is_run_here_says_so(settings: Settings) -> None:
    """run_task hears of it by its heartbeat alone; the outcome is no success."""
    handlers, jobs = Handlers(), JobCatalog()
    quick = settings.replaced(worker_lease=1)
    tasks = TaskQueueContainer(settings=quick, jobs=jobs)
    jobs.define("job")(handlers.waits)
    jobs.define("polite")(handlers.asks)
    for type in ("job", "polite"):
        handlers.began.clear()
        task = tasks.enqueue_task().execute(type=type)
        running = asyncio.create_task(tasks.run_task().aexecute(task.id))
        await soon(handlers.began.is_set, what="the handler has begun")
        tasks.cancel_task().execute(task.id, reason="nobody wants it")
        outcome = await asyncio.wait_for(running, 10)

        assert_cancelled(outcome.task)
        assert f"TaskDidNotComplete: task {task.id} was cancelled: nobody wants it" == (
            f"{type_name(outcome.error)}: {outcome.error}"
        )
        assert outcome.result is None
    await tasks.aclose()


async def test_a_tick_hears_of_it_too(settings: Settings) -> None:
    """By the heartbeat that it has; it goes on with the rest of what is due."""
    handlers, jobs = Handlers(), JobCatalog()
    tasks = TaskQueueContainer(settings=settings.replaced(worker_lease=1, worker_concurrency=1), jobs=jobs)
    jobs.define("job")(handlers.waits)
    jobs.define("next")(lambda payload, context: "ran")
    task = tasks.enqueue_task().execute(type="job", priority=1)
    next_one = tasks.enqueue_task().execute(type="next")
    ticking = asyncio.create_task(tasks.worker().tick(budget=60))
    await soon(handlers.began.is_set, what="the handler has begun")

    tasks.cancel_task().execute(task.id, reason="nobody wants it")
    await asyncio.wait_for(ticking, 20)

    assert_cancelled(tasks.find_task().execute(task.id))
    assert "ran" == tasks.find_task().execute(next_one.id).result
    await tasks.aclose()


def type_name(error: BaseException | None) -> str:
    return type(error).__name__
