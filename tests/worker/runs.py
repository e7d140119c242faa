"""What tests of runs here and now are about: an order that is shipped, an echo, a failure."""

from dataclasses import dataclass
from typing import Any

from app import Job, TaskContext
from tests.worker.running import Rig


@dataclass
class Order:
    number: int


@dataclass
class Shipped:
    parcel: str


def ship(payload: Order, context: TaskContext) -> Shipped:
    return Shipped(f"parcel {payload.number}")


async def echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def fails(payload: Any, context: TaskContext) -> None:
    raise ValueError("no such mailbox")


def job_of(rig: Rig, type: str) -> Job[Any, Any]:
    job = rig.jobs.get(type)
    assert job is not None
    return job


def assert_nothing_is_left(rig: Rig) -> None:
    """No worker is registered, and nothing runs."""
    assert [] == list(rig.tasks.check_queue().execute().workers)
    assert 0 == rig.tasks.get_task_stats().execute().running
