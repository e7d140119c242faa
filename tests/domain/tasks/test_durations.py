"""Durations in buckets: a quantile is told within the error that is promised."""

import math
import random
from collections import Counter

import pytest

from app.domain.tasks.durations import MAX_ERROR, SHORTEST, bucket_of, quantile


@pytest.mark.parametrize("share", [0.5, 0.95, 1.0])
@pytest.mark.parametrize("number", [1, 2, 3, 20, 1000])
def test_a_quantile_is_off_by_no_more_than_is_promised(number: int, share: float) -> None:
    """
    Whatever the durations are, from microseconds to years.
    """
    chance = random.Random(number)
    durations = sorted(math.exp(chance.uniform(math.log(SHORTEST), 18)) for _ in range(number))
    exact = durations[math.ceil(number * share) - 1]

    told = quantile(Counter(map(bucket_of, durations)), share)

    assert told is not None
    assert abs(told - exact) / exact <= MAX_ERROR < 0.091


def test_of_no_durations_there_is_no_quantile() -> None:
    """
    Neither of none at all, nor of buckets that were emptied again.
    """
    assert (None, None) == (quantile({}, 0.5), quantile({3: 0}, 0.5))


@pytest.mark.parametrize("seconds", [0.0, -5.0, 1e-9])
def test_what_took_no_time_counts_as_the_shortest(seconds: float) -> None:
    """
    A clock that was set back makes an end come before its start.
    """
    assert bucket_of(SHORTEST) == bucket_of(seconds)
