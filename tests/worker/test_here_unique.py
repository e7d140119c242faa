"""Unique jobs that are run and stored where they are called: nobody runs what somebody else has enqueued."""

from typing import Any

import pytest

from app import TaskContext, TaskNotUnique, TaskStatus, Unique
from app.domain.jobs.unique import OnConflict
from tests.worker.running import Rig
from tests.worker.runs import assert_nothing_is_left, echo, job_of


async def test_the_task_that_has_the_key_is_not_run_instead(rig: Rig) -> None:
    """It stays as it is, and nothing is stored; with its key free again the job runs."""
    rig.define("sync", echo, unique=Unique())
    first = rig.enqueue("sync", "theirs")

    with pytest.raises(TaskNotUnique) as refused:
        await job_of(rig, "sync").arun("ours", persist=True)

    assert (first.id, "sync", "sync") == (refused.value.existing.id, refused.value.type, refused.value.key)
    found = rig.find(first)
    assert (TaskStatus.PENDING, 0, "theirs") == (found.status, found.attempts, found.payload)
    assert 1 == rig.tasks.get_task_stats().execute().total
    assert_nothing_is_left(rig)
    await rig.drained(first)
    assert "ours" == (await job_of(rig, "sync").arun("ours", persist=True)).unwrap()


@pytest.mark.parametrize("on_conflict", ["replace", "debounce"])
async def test_a_task_that_got_the_payload_is_run(rig: Rig, on_conflict: OnConflict) -> None:
    """It is ours now; one that runs keeps its payload, and is not."""

    async def handler(payload: Any, context: TaskContext) -> Any:
        if payload == "ours":
            with pytest.raises(TaskNotUnique):
                await job_of(rig, "sync").arun("late", persist=True)
        return payload

    rig.define("sync", handler, unique=Unique(on_conflict=on_conflict))
    first = rig.enqueue("sync", "theirs", delay=600)

    outcome = await job_of(rig, "sync").arun("ours", persist=True)

    assert (first.id, "ours") == (outcome.task.id, outcome.unwrap())
    assert 1 == rig.tasks.get_task_stats().execute().total
