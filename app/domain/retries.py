"""Retry policies: how long a failed attempt waits before the next one."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds

RetryPolicy = Callable[[int, BaseException], "float | None"]
"""``(failures, error) -> seconds``: the wait after the *failures*-th failure, counted from 1; None ends the task."""

ShouldRetry = Callable[[BaseException], bool]
"""Whether an error is worth another attempt at all."""


def _keep_seconds(policy: object, *names: str) -> None:
    for name in names:
        object.__setattr__(policy, name, checked_seconds(name, getattr(policy, name)))


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
        _keep_seconds(self, "first", "cap")
        factor: object = self.factor
        number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if not (number and 1 <= self.factor <= sys.float_info.max):
            raise InvalidInput("factor", self.factor, "must be a finite number, 1 or more")

    def __call__(self, failures: int, error: BaseException) -> float:
        try:
            # As a float, because a whole number would be raised to thousands of digits first.
            delay = min(self.cap, self.first * float(self.factor) ** (failures - 1))
        except OverflowError:
            delay = self.cap if self.first else 0.0
        return delay * self.random() if self.jitter else delay


@dataclass(frozen=True, slots=True)
class Linear:
    """``step * failures`` seconds, at most *cap*."""

    step: float
    cap: float = 3600

    def __post_init__(self) -> None:
        _keep_seconds(self, "step", "cap")

    def __call__(self, failures: int, error: BaseException) -> float:
        return min(self.cap, self.step * failures)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same wait, in seconds, after every failure."""

    delay: float

    def __post_init__(self) -> None:
        _keep_seconds(self, "delay")

    def __call__(self, failures: int, error: BaseException) -> float:
        return self.delay


DEFAULT_RETRY: RetryPolicy = Exponential()
