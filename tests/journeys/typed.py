"""Typed jobs of every form, and what they say they did."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app import Constant, Job, JobCatalog, TaskContext, TaskQueueContainer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = UUID(int=7)
LIMIT = 1000
"""Bytes that a payload or a result may have."""


class Letter(BaseModel):
    """What is sent."""

    to: str
    at: datetime = NOON
    copies: Annotated[int, Field(ge=1, le=9)] = 1

    @field_validator("to")
    @classmethod
    def _has_a_house(cls, to: str) -> str:
        if "@" not in to:
            raise ValueError("must have a house")
        return to


class Receipt(BaseModel):
    """What comes of it."""

    id: UUID
    at: datetime


@dataclass
class Parcel:
    """The same as a dataclass."""

    number: int
    letter: Letter


class Slip(TypedDict):
    """The same as a TypedDict."""

    number: int
    at: datetime


LETTER = Letter(to="ada@home")
PARCEL = Parcel(7, LETTER)
SLIP = Slip(number=7, at=NOON)
RECEIPT = Receipt(id=ID, at=NOON)


class Post(Job[Letter, Receipt]):
    """The class form, asynchronous."""

    async def execute(self, payload: Letter, context: TaskContext) -> Receipt:
        return Receipt(id=ID, at=payload.at)


class PostAtOnce(Job[Letter, Receipt]):
    """The class form, in a thread."""

    def execute(self, payload: Letter, context: TaskContext) -> Receipt:
        return Receipt(id=ID, at=payload.at)


class Jobs:
    """A catalog with jobs in all forms; ``effects`` has what their handlers got."""

    def __init__(self) -> None:
        self.catalog = JobCatalog()
        self.effects: list[Any] = []
        self.post = self.catalog.add(Post("letter:class"))
        self.post_at_once = self.catalog.add(PostAtOnce("letter:class-sync"))
        define = self.catalog.define

        @define("letter:function", payload=Letter, result=Receipt, queue="post", priority=3, retry=Constant(0))
        async def letter(payload: Letter, context: TaskContext) -> Receipt:
            self.effects.append(payload)
            return Receipt(id=ID, at=payload.at)

        @define("letter:sync", payload=Letter)
        def letter_sync(payload: Letter, context: TaskContext) -> Receipt:
            self.effects.append(payload)
            return Receipt(id=ID, at=payload.at)

        @define("parcel", payload=Parcel)
        def parcel(payload: Parcel, context: TaskContext) -> Parcel:
            self.effects.append(payload)
            return payload

        @define("slip", payload=Slip)
        async def slip(payload: Slip, context: TaskContext) -> Slip:
            self.effects.append(payload)
            return payload

        @define("numbers", payload=list[int])
        def numbers(payload: list[int], context: TaskContext) -> dict[str, int]:
            return {"sum": sum(payload)}

        @define("wrong", payload=Letter, result=Receipt, retry=Constant(0))
        async def wrong(payload: Letter, context: TaskContext) -> Receipt:
            self.effects.append(payload)
            return "gone"  # type: ignore[return-value]  # what does not fit

        @define("large", payload=Letter, retry=Constant(0))
        def large(payload: Letter, context: TaskContext) -> str:
            self.effects.append(payload)
            return "x" * 2000

        self.letter, self.letter_sync, self.parcel, self.slip = letter, letter_sync, parcel, slip
        self.numbers, self.wrong, self.large = numbers, wrong, large


def stored(tasks: TaskQueueContainer) -> int:
    """How many tasks there are."""
    return tasks.get_task_stats().execute().total
