"""Keep: how long what has ended is kept."""

from dataclasses import dataclass
from datetime import timedelta

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds
from app.domain.numbers import checked_whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many of a job's ended tasks are kept, and for how long; with their results, errors and payloads.

    ``count`` keeps the newest so many, ``age`` (seconds or a timedelta) those that ended less long ago; with both, what
    either would remove goes. ``Keep(count=0)`` keeps none: for tasks that nobody will ever look at. Enforced by the
    workers' upkeep, so that a little more is there at times. Dead letters are not touched, and do not count: they stay
    until somebody has seen to them. Raises InvalidInput.
    """

    count: int | None = None
    age: float | timedelta | None = None

    def __post_init__(self) -> None:
        if self.count is None and self.age is None:
            raise InvalidInput("keep", self, "must say a count, an age, or both")
        if self.count is not None:
            checked_whole_number("keep.count", self.count, low=0)
        if self.age is not None:
            object.__setattr__(self, "age", checked_seconds("keep.age", self.age))
