"""An application as the test kit meets one: a catalog with jobs of several kinds, bound to nothing."""

from typing import Any

from pydantic import BaseModel

from app import Constant, JobCatalog, Snooze, TaskContext

jobs = JobCatalog()


class Order(BaseModel):
    """What somebody bought."""

    number: int
    customer: str = "Ada"


class Shipped(BaseModel):
    """What became of it."""

    number: int
    attempt: int


class Carrier:
    """A service that takes parcels."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    def take(self, number: int) -> None:
        self.taken.append(number)


@jobs.define("order:ship", payload=Order, max_attempts=3, retry=Constant(60))
async def ship(payload: Order, context: TaskContext, carrier: Carrier) -> Shipped:
    context.log.info("shipping %d", payload.number)
    context.progress(50, "packed")
    context.log.debug("packed")
    if payload.number < 0:
        raise ValueError(f"there is no order {payload.number}")
    carrier.take(payload.number)
    context.progress(100)
    return Shipped(number=payload.number, attempt=context.task.attempts)


@jobs.define("order:thank", payload=Order)
def thank(payload: Order, context: TaskContext) -> str:
    if payload.number == 13:
        raise Snooze(3600)
    return f"Thank you, {payload.customer}"


@jobs.define("order:place", payload=Order)
def place(payload: Order, context: TaskContext) -> None:
    """Enqueues two more, one of them for later."""
    ship.enqueue(payload, correlation_id=context.task.correlation_id)
    thank.enqueue(payload, delay=3600)


@jobs.define("plain")
def plain(payload: Any, context: TaskContext) -> Any:
    return payload
