"""An application that was there before embeds the queue: its container, its engines, its transactions."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dependency_injector import providers

from app import TaskCreated, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.cli.running import PATIENCE, Running
from tests.faults.waiting import soon
from tests.journeys.shop import Base, Shop, jobs


@pytest.fixture
async def shop(empty_database_url: str) -> AsyncIterator[Shop]:
    """The shop on a database of its own, migrated by itself."""
    shop = Shop()
    shop.config.url.from_value(empty_database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    Base.metadata.create_all(shop.engine())
    shop.tasks.migrations().upgrade()
    yield shop
    await shop.tasks.aclose()
    await shop.async_engine().dispose()
    shop.engine().dispose()


async def test_a_shop_has_its_orders_shipped(shop: Shop, empty_database_url: str, tmp_path: Path) -> None:
    """From its own transactions, sync and async, to a worker process that loads its jobs and its listeners."""
    heard: list[tuple[str, int]] = []

    def on_created(sender: str, event: TaskCreated) -> None:
        # Told after the commit: whoever is told can find it.
        assert shop.tasks.find_task().execute(event.task.id).status is TaskStatus.PENDING
        heard.append((sender, event.task.payload["order"]))

    shop.tasks.signals().created.connect(on_created)
    placed = [shop.orders().place(1, "Ada"), await shop.async_orders().place(2, "Grace")]
    with pytest.raises(ValueError, match="nobody pays"):
        shop.orders().place(3, "Mallory", paid=False)
    with pytest.raises(ValueError, match="nobody pays"):
        await shop.async_orders().place(4, "Mallory", paid=False)
    placed.append(await shop.tasks.enqueue_task().aexecute(type="order:ship", payload={"order": 5}))

    assert [1, 2] == shop.orders().numbers()
    assert [("order:ship", number) for number in (1, 2, 5)] == heard
    assert 3 == shop.tasks.get_task_stats().execute().total

    book = tmp_path / "book"
    with Running(
        ["worker"],
        folder=tmp_path,
        database_url=empty_database_url,
        worker_jobs="tests.journeys.shop:jobs",
        worker_listeners="tests.journeys.shop:listen",
        shop_book=book,
    ) as worker:
        worker.wait_until_said(" runs order:ship")
        placed.append(shop.orders().place(6, "Joan"))
        await soon(
            lambda: shop.tasks.get_task_stats().execute().completed == len(placed), within=PATIENCE, what="all ran"
        )
        code = worker.ended_by(signal.SIGTERM)

    done = [await shop.tasks.find_task().aexecute(task.id) for task in placed]
    [process] = {task.result["by"] for task in done}
    assert 0 == code
    assert [(1, 1), (2, 1), (5, 1), (6, 1)] == [(task.result["shipped"], task.result["attempt"]) for task in done]
    assert process != os.getpid()
    assert sorted(f"{process} order:ship {number}" for number in (1, 2, 5, 6)) == sorted(book.read_text().splitlines())


async def test_a_shop_with_an_async_engine_alone_needs_no_other(shop: Shop) -> None:
    """What is asked synchronously then runs on an engine derived from the one given; both see the same tasks."""
    tasks = TaskQueueContainer(engine=shop.async_engine(), jobs=jobs)

    asynchronously = await tasks.enqueue_task().aexecute(type="order:ship", payload={"order": 1})
    found = tasks.find_task().execute(asynchronously.id)
    ran = await tasks.worker().drain()
    await tasks.aclose()

    assert ({"order": 1}, 1) == (found.payload, ran)


async def test_the_same_shop_runs_in_memory(shop: Shop) -> None:
    """For tests: the queue is told to keep tasks in the process, and nothing else of the application changes."""
    shop.tasks.settings.override(providers.Object(Settings(in_memory=True)))
    with pytest.raises(ValueError, match="nobody pays"):
        shop.orders().place(1, "Mallory", paid=False)
    task, other = shop.orders().place(2, "Ada"), await shop.async_orders().place(3, "Grace")

    ran = await shop.tasks.worker().drain()

    assert 2 == ran
    assert [2, 3] == [shop.tasks.find_task().execute(id).result["shipped"] for id in (task.id, other.id)]
    assert [2, 3] == shop.orders().numbers()
