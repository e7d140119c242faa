"""A small application as it might have been before it got a queue: orders, an engine, a container of its own."""

import os
from pathlib import Path
from typing import Any

from dependency_injector import containers, providers
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from app import JobCatalog, TaskCompleted, TaskContext, TaskQueueContainer, WorkerTask
from app.infra.events.signals import TaskSignals

jobs = JobCatalog()


class Base(DeclarativeBase):
    """The shop's tables."""


class Order(Base):
    """What somebody bought."""

    __tablename__ = "orders"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer: Mapped[str]


@jobs.define("order:ship", timeout=30, max_attempts=2)
async def ship(payload: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    return {"shipped": payload["order"], "by": os.getpid(), "attempt": context.task.attempts}


class Orders:
    """The shop's own service, which only knows that its engine and its queue are handed in."""

    def __init__(self, engine: Engine, tasks: TaskQueueContainer) -> None:
        self._engine = engine
        self._tasks = tasks

    def place(self, number: int, customer: str, *, paid: bool = True) -> WorkerTask:
        """Raises ValueError when nobody pays; the order and its task are then both undone."""
        with Session(self._engine) as session, session.begin():
            session.add(Order(number=number, customer=customer))
            session.flush()
            task = self._tasks.enqueue_task().execute_in(session, type="order:ship", payload={"order": number})
            if not paid:
                raise ValueError("nobody pays")
        return task

    def numbers(self) -> list[int]:
        with Session(self._engine) as session:
            return list(session.scalars(select(Order.number).order_by(Order.number)))


class AsyncOrders:
    """The same for the asynchronous half of the shop."""

    def __init__(self, engine: AsyncEngine, tasks: TaskQueueContainer) -> None:
        self._engine = engine
        self._tasks = tasks

    async def place(self, number: int, customer: str, *, paid: bool = True) -> WorkerTask:
        """Raises ValueError when nobody pays."""
        async with AsyncSession(self._engine) as session, session.begin():
            session.add(Order(number=number, customer=customer))
            task = await self._tasks.enqueue_task().aexecute_in(session, type="order:ship", payload={"order": number})
            if not paid:
                raise ValueError("nobody pays")
        return task


class Shop(containers.DeclarativeContainer):
    """The container that was there before; ``tasks`` is the line that it got."""

    config = providers.Configuration()
    engine = providers.Singleton(create_engine, config.url)
    async_engine = providers.Singleton(create_async_engine, config.url)
    tasks = providers.Container(TaskQueueContainer, engine=engine, async_engine=async_engine, jobs=jobs)
    orders = providers.Factory(Orders, engine, tasks)
    async_orders = providers.Factory(AsyncOrders, async_engine, tasks)


def listen(signals: TaskSignals) -> None:
    """What WORKER_LISTENERS names: it has completed orders written down, in the process of the worker."""
    signals.completed.connect(_write_down)


def _write_down(sender: str, event: TaskCompleted) -> None:
    with Path(os.environ["SHOP_BOOK"]).open("a") as book:
        book.write(f"{os.getpid()} {sender} {event.result['shipped']}\n")
