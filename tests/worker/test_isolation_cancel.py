"""Cancelling a task whose handler is in a process of its own: it is told, and after the grace killed."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app import TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker import isolated
from tests.worker.conftest import QUICK
from tests.worker.running import Rig
from tests.worker.test_isolation_ends import is_gone, noted

MakeRig = Callable[..., Rig]


@pytest.fixture
async def make() -> AsyncIterator[MakeRig]:
    """Makes queues in memory with jobs that a process can import, one process, and a heartbeat far away."""
    made: list[TaskQueueContainer] = []

    def make(**settings: Any) -> Rig:
        given = QUICK | {"worker_cpu_processes": 1, "worker_lease": 3600} | settings
        made.append(TaskQueueContainer(settings=Settings(in_memory=True, **given), jobs=isolated.jobs))
        return Rig(made[-1], isolated.jobs)

    yield make
    for tasks in made:
        await tasks.aclose()


@pytest.mark.parametrize(
    ("job", "check"), [("cancel:asks", False), ("cancel:asks", True), ("cancel:asks:async", False)]
)
async def test_a_handler_that_asks_ends_by_itself(make: MakeRig, tmp_path: Path, job: str, check: bool) -> None:
    """Its task is cancelled, and its process lives on for the next one."""
    rig = make(worker_cancel_grace=60)
    task = rig.enqueue(job, {"file": str(tmp_path / "pids"), "check": check})
    async with rig.working() as worker:
        [pid] = await noted(tmp_path / "pids")
        rig.tasks.cancel_task().execute(task.id)
        found = await rig.until(task, TaskStatus.CANCELLED)
        next_one = await rig.until(rig.enqueue("pid"), TaskStatus.COMPLETED)

        assert 0 == worker.left_behind
    assert (None, [], pid) == (found.result, found.errors, next_one.result)
    if job == "cancel:asks" and not check:
        assert f"{pid} 1" == (tmp_path / "pids").read_text()


async def test_one_that_does_not_is_killed_after_the_grace(make: MakeRig, tmp_path: Path) -> None:
    """And not before; with it goes what it has started."""
    rig = make(worker_cancel_grace=1)
    task = rig.enqueue("sleeps", {"file": str(tmp_path / "pids")})
    async with rig.working() as worker:
        pids = await noted(tmp_path / "pids")
        began = time.monotonic()
        rig.tasks.cancel_task().execute(task.id)
        found = await rig.until(task, TaskStatus.CANCELLED)
        took = time.monotonic() - began
        await soon(lambda: is_gone(pids[0]), what="the process is gone")
        next_one = await rig.until(rig.enqueue("pid"), TaskStatus.COMPLETED, within=20)

        assert 0 == worker.left_behind
    assert (0.9 < took, []) == (True, found.errors)
    assert pids[0] != next_one.result


async def test_one_that_holds_the_interpreter_is_killed_too(make: MakeRig, tmp_path: Path) -> None:
    """It cannot even be told."""
    rig = make(worker_cancel_grace=0.2)
    task = rig.enqueue("computes", {"file": str(tmp_path / "pids")})
    async with rig.working():
        [pid] = await noted(tmp_path / "pids")
        rig.tasks.cancel_task().execute(task.id)
        await rig.until(task, TaskStatus.CANCELLED)
        await soon(lambda: is_gone(pid), what="the process is gone")


async def test_one_that_waits_for_a_process_never_gets_one(make: MakeRig, tmp_path: Path) -> None:
    """It is cancelled at once, while another one computes; and so is one whose process is still coming up."""
    rig = make(worker_concurrency=2, worker_cancel_grace=60)
    first = rig.enqueue("sleeps", {"file": str(tmp_path / "first"), "polite": True}, priority=1)
    second = rig.enqueue("sleeps", {"file": str(tmp_path / "second"), "polite": True})
    async with rig.working():
        await noted(tmp_path / "first")
        await rig.until(second, TaskStatus.RUNNING)
        rig.tasks.cancel_task().execute(second.id)
        await rig.until(second, TaskStatus.CANCELLED)
        assert TaskStatus.RUNNING is rig.find(first).status

    assert not (tmp_path / "second").exists()


async def test_the_timeout_ends_the_grace(make: MakeRig, tmp_path: Path) -> None:
    """It is hard, as ever; the task ends cancelled all the same."""
    rig = make(worker_cancel_grace=60)
    task = rig.enqueue("sleeps", {"file": str(tmp_path / "pids")}, timeout=1)
    async with rig.working():
        pid, _ = await noted(tmp_path / "pids")
        rig.tasks.cancel_task().execute(task.id)
        found = await rig.until(task, TaskStatus.CANCELLED)
        await soon(lambda: is_gone(pid), what="the process is gone")

    assert [] == found.errors


async def test_a_task_that_is_run_again_in_the_same_process_is_not_cancelled_again(
    make: MakeRig, tmp_path: Path
) -> None:
    """What was said was said of another attempt of it."""
    rig = make(worker_cancel_grace=60)
    task = rig.enqueue("cancel:asks", {"file": str(tmp_path / "pids"), "check": True})
    async with rig.working():
        for _ in range(2):
            await noted(tmp_path / "pids")
            await rig.until(task, TaskStatus.RUNNING)
            assert TaskStatus.RUNNING is rig.tasks.cancel_task().execute(task.id).status
            await rig.until(task, TaskStatus.CANCELLED)
            (tmp_path / "pids").unlink()
            rig.tasks.retry_task().execute(task.id)
        await noted(tmp_path / "pids")

    assert TaskStatus.PENDING is rig.find(task).status  # given back by the end of its worker
