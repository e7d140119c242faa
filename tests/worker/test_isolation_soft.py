"""The soft timeout in a process of its own: whatever the handler does in its main thread, it is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app import TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.worker import isolated
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A queue in memory with the jobs that a process can import, and one process."""
    given: dict[str, Any] = QUICK | {"worker_cpu_processes": 1}
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **given), jobs=isolated.jobs)
    yield Rig(tasks, isolated.jobs)
    await tasks.aclose()


@pytest.mark.parametrize("job", ["soft:computes", "soft:waits", "soft:holds"])
async def test_it_may_be_caught(rig: Rig, job: str) -> None:
    """In a loop that computes, at an await, and on an event loop that never gets its turn."""
    found = await rig.drained(rig.enqueue(job, "catch"))

    assert (TaskStatus.COMPLETED, [1, 0.3, True]) == (found.status, found.result)


@pytest.mark.parametrize("job", ["soft:computes", "soft:waits", "soft:holds"])
async def test_uncaught_it_is_the_same_error_in_the_worker(rig: Rig, job: str) -> None:
    """No stand-in for it, and no dead process."""
    found = await rig.drained(rig.enqueue(job, "no", max_attempts=1))

    assert (TaskStatus.FAILED, "app.domain.jobs.errors.SoftTimeout") == (found.status, found.errors[0].type)
    assert "SoftTimeout: attempt 1 has reached its soft timeout of 0.3 s" == found.error


async def test_a_call_that_waits_is_interrupted(rig: Rig) -> None:
    """time.sleep, a read, a lock."""
    assert "woken" == (await rig.drained(rig.enqueue("soft:naps"))).result


async def test_what_the_worker_is_being_told_is_not_broken_off(rig: Rig) -> None:
    """It is told in between; the process lives, and its next task is understood."""
    reporting, next_one = rig.enqueue("soft:reports", priority=1), rig.enqueue("pid")

    await rig.tasks.worker().drain()

    assert ("caught", 1) == (rig.find(reporting).result, rig.find(reporting).attempts)
    assert (TaskStatus.COMPLETED, 1) == (rig.find(next_one).status, rig.find(next_one).attempts)


async def test_one_that_returns_at_that_moment_has_returned(rig: Rig) -> None:
    """Either it was told or it was not: nothing in between, and nobody else is told in its place."""
    tasks = [rig.enqueue("soft:quick", number, max_attempts=1) for number in range(40)]

    await rig.tasks.worker().drain()

    found = [rig.find(task) for task in tasks]
    outcomes = {(task.status, None if task.error is None else task.error.partition(":")[0]) for task in found}
    assert outcomes <= {(TaskStatus.COMPLETED, None), (TaskStatus.FAILED, "SoftTimeout")}
    assert all(task.result == number for number, task in enumerate(found) if task.status is TaskStatus.COMPLETED)
