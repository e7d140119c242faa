"""Asynchronous receivers: they run on the publisher's loop, or on one kept for them, and nobody waits."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app import JobCatalog, TaskQueueContainer
from app.domain.tasks.events import TaskEvent
from app.infra.events import relay
from app.infra.settings import Settings
from tests.examples import EMAIL


@pytest.fixture
def tasks() -> Iterator[TaskQueueContainer]:
    """A queue in this process's memory."""
    tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=JobCatalog())
    yield tasks
    tasks.close()


class AsyncEar:
    """An ``async def`` receiver that remembers on which thread it ran, once it may."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.may = threading.Event()
        self.may.set()

    async def hear(self, sender: str, event: TaskEvent) -> None:
        await asyncio.to_thread(self.may.wait, 10)
        self.threads.append(threading.current_thread().name)


async def fail(sender: str, event: TaskEvent) -> None:
    raise ZeroDivisionError("on purpose")


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, but not for ever."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come about within 10 s"
        time.sleep(0.001)


async def test_it_runs_on_the_loop_of_the_publisher(tasks: TaskQueueContainer) -> None:
    """
    Which may do other things meanwhile; aclose waits for it.
    """
    ear = AsyncEar()
    ear.may.clear()
    tasks.signals().created.connect(ear.hear)

    await tasks.enqueue_task().aexecute(type=EMAIL)
    tasks.enqueue_task().execute(type=EMAIL)
    before = [*ear.threads]
    ear.may.set()
    await tasks.aclose()

    assert ([], [threading.current_thread().name] * 2) == (before, ear.threads)


def test_it_runs_on_a_loop_of_ours_where_there_is_none(tasks: TaskQueueContainer) -> None:
    """
    One thread for all of them, which the publisher does not wait for; close does.
    """
    ear = AsyncEar()
    ear.may.clear()
    tasks.signals().created.connect(ear.hear)

    for _ in range(3):
        tasks.enqueue_task().execute(type=EMAIL)
    before = [*ear.threads]
    ear.may.set()
    tasks.close()

    assert ([], ["app-events"] * 3) == (before, ear.threads)


def test_the_thread_ends_with_the_queue(tasks: TaskQueueContainer) -> None:
    """
    And comes back when it is needed again.
    """
    ear = AsyncEar()
    tasks.signals().created.connect(ear.hear)

    for _ in range(2):
        tasks.enqueue_task().execute(type=EMAIL)
        tasks.close()
        until(lambda: "app-events" not in [thread.name for thread in threading.enumerate()])

    assert ["app-events"] * 2 == ear.threads


async def test_one_that_fails_is_logged(tasks: TaskQueueContainer, caplog: pytest.LogCaptureFixture) -> None:
    """
    With its traceback, on either kind of loop; the others run.
    """
    ear = AsyncEar()
    tasks.signals().created.connect(fail)
    tasks.signals().created.connect(ear.hear)

    await tasks.enqueue_task().aexecute(type=EMAIL)
    await asyncio.to_thread(tasks.enqueue_task().execute, type=EMAIL)
    await tasks.aclose()

    assert [("app.events", logging.ERROR)] * 2 == [(line.name, line.levelno) for line in caplog.records]
    assert (2, 2) == (caplog.text.count("ZeroDivisionError: on purpose"), len(ear.threads))


def test_one_that_takes_too_long_is_cancelled(tasks: TaskQueueContainer, caplog: pytest.LogCaptureFixture) -> None:
    """
    Closing waits no longer than it was told to, and says so.
    """
    ear = AsyncEar()
    ear.may.clear()
    tasks.signals().created.connect(ear.hear)
    tasks.enqueue_task().execute(type=EMAIL)

    began = time.monotonic()
    tasks.signals().close(timeout=0.05)
    took = time.monotonic() - began
    ear.may.set()

    assert took < 2
    assert "still at work" in caplog.text


def test_there_is_a_limit_to_what_is_under_way(
    tasks: TaskQueueContainer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Receivers that are too slow lose deliveries, which signals may, rather than fill the memory.
    """
    monkeypatch.setattr(relay, "LIMIT", 2)
    ear = AsyncEar()
    ear.may.clear()
    tasks.signals().created.connect(ear.hear)

    for _ in range(5):
        tasks.enqueue_task().execute(type=EMAIL)
    ear.may.set()
    tasks.close()

    assert (2, 3) == (len(ear.threads), caplog.text.count("one delivery to"))
