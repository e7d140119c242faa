"""A worker for which the front of the queue is slow claims onwards, and misses nothing for it."""

from typing import Any

import pytest

from app import TaskStatus
from app.infra.settings import Settings
from app.worker import bookmarks
from tests.worker.running import Rig


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No poll comes to the rescue of a worker that forgets to look."""
    return settings.model_copy(update={"worker_poll_interval": 60.0})


@pytest.fixture(autouse=True)
def always_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a search from the front takes counts as slow, and half a second lies between two of them."""
    monkeypatch.setattr(bookmarks, "_SLOW", -1.0)
    monkeypatch.setattr(bookmarks, "_SHORTEST", 0.5)


async def nothing(payload: Any, context: Any) -> None:
    return None


async def test_draining_onwards_leaves_nothing_behind(rig: Rig) -> None:
    """
    Tasks of two queues and five priorities, many more than are claimed at once.
    """
    rig.define("job", nothing)
    tasks = [rig.enqueue("job", queue="ab"[number % 2], priority=number % 5) for number in range(60)]

    await rig.tasks.worker().drain()

    assert {TaskStatus.COMPLETED} == {rig.find(task).status for task in tasks}


async def test_what_an_onward_claim_cannot_see_is_found_at_the_front(rig: Rig) -> None:
    """
    A more urgent task, one of a queue never seen, one that falls due: none waits for longer than the bound.
    """
    rig.define("job", nothing)

    async with rig.working():
        for _ in range(3):
            await rig.until(rig.enqueue("job", queue="a"), TaskStatus.COMPLETED)
        unseen = [
            rig.enqueue("job", queue="a", priority=9),
            rig.enqueue("job", queue="b"),
            rig.enqueue("job", queue="a", delay=0.3),
        ]
        for task in unseen:
            await rig.until(task, TaskStatus.COMPLETED, within=5)


async def test_a_retry_is_not_lost_to_a_worker_that_claims_onwards(rig: Rig) -> None:
    """
    It comes back with a later time, and is promoted by whatever claim is next.
    """
    failed: list[bool] = []

    async def once(payload: Any, context: Any) -> None:
        if not failed:
            failed.append(True)
            raise RuntimeError("once")

    rig.define("job", nothing)
    rig.define("failing", once)

    async with rig.working():
        for _ in range(3):
            await rig.until(rig.enqueue("job"), TaskStatus.COMPLETED)
        await rig.until(rig.enqueue("failing"), TaskStatus.COMPLETED, within=20)
