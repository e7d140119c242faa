"""Retry policies: their waits, their bounds, their jitter."""

import math
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.retries import DEFAULT_RETRY, Constant, Exponential, Linear, RetryPolicy

ERROR = RuntimeError("any")


def waits(policy: RetryPolicy, *failures: int) -> list[float | None]:
    return [policy(one, ERROR) for one in failures]


def test_exponential_waits_grow_by_their_factor_up_to_the_cap() -> None:
    """
    The first wait is ``first``, and none exceeds ``cap``.
    """
    policy = Exponential(first=5, factor=2, cap=100, jitter=False)

    assert [5, 10, 20, 40, 80, 100, 100] == waits(policy, 1, 2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize("factor", [2, 2.0, 1.5, 1e308, 10**30])
def test_exponential_waits_never_overflow(factor: float) -> None:
    """
    After any number of failures the wait is the cap.
    """
    policy = Exponential(first=5, factor=factor, cap=3600, jitter=False)

    assert [3600, 3600] == waits(policy, 2_000, 1_000_000)


@pytest.mark.parametrize("failures", [1, 2, 2_000])
def test_exponential_waits_from_nothing_stay_nothing(failures: int) -> None:
    """
    Nothing, however often it is doubled, is nothing.
    """
    for factor in (2, 2.0):
        for first in (0, 0.0):
            assert 0 == Exponential(first=first, factor=factor, jitter=False)(failures, ERROR)


def test_full_jitter_spreads_a_wait_from_nothing_to_the_whole() -> None:
    """
    The draw decides the share.
    """
    shares = iter([0.0, 0.25, 0.999])
    policy = Exponential(first=8, factor=2, random=lambda: next(shares))

    assert [0, 4, pytest.approx(7.992)] == [policy(1, ERROR), policy(2, ERROR), policy(1, ERROR)]


def test_the_default_waits_at_most_an_hour() -> None:
    """
    And is drawn anew each time.
    """
    drawn = [DEFAULT_RETRY(failures, ERROR) for failures in range(1, 200)]

    assert all(wait is not None and 0 <= wait <= 3600 for wait in drawn)
    assert 190 < len(set(drawn))


def test_linear_waits_grow_by_their_step_up_to_the_cap() -> None:
    """
    The wait is the step times the failures.
    """
    assert [10, 20, 30, 35, 35] == waits(Linear(step=10, cap=35), 1, 2, 3, 4, 1_000_000)


def test_constant_waits_are_all_the_same() -> None:
    """
    Whatever the failures.
    """
    assert [2.5, 2.5] == waits(Constant(2.5), 1, 1_000_000)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, pytest.param(10**400, id="huge"), "5", None, True])
def test_a_wait_that_is_none_is_refused(value: Any) -> None:
    """
    When the policy is made, not when it is used.
    """
    makers: dict[str, Any] = {
        "first": lambda: Exponential(first=value),
        "cap": lambda: Exponential(cap=value),
        "factor": lambda: Exponential(factor=value),
        "step": lambda: Linear(step=value),
        "delay": lambda: Constant(value),
    }
    refused = []

    for make in makers.values():
        with pytest.raises(InvalidInput) as error:
            make()
        refused.append(error.value.field)

    assert list(makers) == refused


def test_waits_that_shrink_are_refused() -> None:
    """
    A factor below one is not backing off.
    """
    with pytest.raises(InvalidInput) as refused:
        Exponential(factor=0.5)

    assert "factor" == refused.value.field
