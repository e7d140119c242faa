"""Retry policies: how long a failed attempt waits before the next one."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.errors import InvalidInput

RetryPolicy = Callable[[int, BaseException], "float | None"]
"""``(failures, error) -> seconds``: the wait after the *failures*-th failure, counted from 1; None ends the task."""

ShouldRetry = Callable[[BaseException], bool]
"""Whether an error is worth another attempt at all."""


def _checked_seconds(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidInput(name, value, "must be a finite number of seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class Exponential:
    """``first * factor ** (failures - 1)`` seconds, at most *cap*.

    With *jitter* the wait is drawn evenly from 0 to that ("full jitter", Brooker, *Exponential Backoff And Jitter*,
    AWS Architecture Blog, 2015), so that tasks which failed together do not return together.
    """

    first: float = 5
    factor: float = 2
    cap: float = 3600
    jitter: bool = True
    random: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        _checked_seconds("first", self.first)
        _checked_seconds("cap", self.cap)
        if not (math.isfinite(self.factor) and self.factor >= 1):
            raise InvalidInput("factor", self.factor, "must be a finite number, 1 or more")

    def __call__(self, failures: int, error: BaseException) -> float:
        try:
            delay = min(self.cap, self.first * self.factor ** (failures - 1))
        except OverflowError:
            delay = self.cap
        return delay * self.random() if self.jitter else delay


@dataclass(frozen=True, slots=True)
class Linear:
    """``step * failures`` seconds, at most *cap*."""

    step: float
    cap: float = 3600

    def __post_init__(self) -> None:
        _checked_seconds("step", self.step)
        _checked_seconds("cap", self.cap)

    def __call__(self, failures: int, error: BaseException) -> float:
        return min(self.cap, self.step * failures)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same wait, in seconds, after every failure."""

    delay: float

    def __post_init__(self) -> None:
        _checked_seconds("delay", self.delay)

    def __call__(self, failures: int, error: BaseException) -> float:
        return self.delay


DEFAULT_RETRY: RetryPolicy = Exponential()
