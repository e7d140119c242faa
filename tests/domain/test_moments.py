"""Moments and durations: what passes is what the database can hold."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.moments import MAX_DELAY, checked_moment, checked_seconds


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9990, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_moment_with_a_time_zone_passes(value: datetime) -> None:
    """
    From the first year allowed to the last, in any zone.
    """
    assert value == checked_moment("scheduled_at", value)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (datetime(2026, 3, 1), "must have a time zone"),  # noqa: DTZ001 - that is the point
        (datetime(1899, 12, 31, tzinfo=UTC), "must lie in the years 1900 to 9990"),
        (datetime(9991, 1, 1, tzinfo=UTC), "must lie in the years 1900 to 9990"),
        (date(2026, 3, 1), "must be a datetime"),
        ("2026-03-01T12:00:00Z", "must be a datetime"),
        (0, "must be a datetime"),
    ],
)
def test_any_other_moment_is_refused(value: Any, rule: str) -> None:
    """
    The error names the field and the rule.
    """
    with pytest.raises(InvalidInput, match=rule) as refused:
        checked_moment("scheduled_at", value)

    assert ("scheduled_at", value) == (refused.value.field, refused.value.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0.0), (1.5, 1.5), (timedelta(minutes=2), 120.0), (MAX_DELAY, MAX_DELAY), (timedelta(0), 0.0), (-0.0, 0.0)],
)
def test_a_duration_is_seconds_or_a_timedelta(value: float | timedelta, expected: float) -> None:
    """
    And comes out as seconds.
    """
    seconds = checked_seconds("delay", value)

    assert (expected, float) == (seconds, type(seconds))


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -1e-9,
        float("nan"),
        float("inf"),
        MAX_DELAY + 1,
        pytest.param(10**400, id="huge"),
        timedelta(seconds=-1),
        timedelta.max,
        True,
        "5",
        None,
    ],
)
def test_any_other_duration_is_refused(value: Any) -> None:
    """
    Negative, endless, or no number at all.
    """
    with pytest.raises(InvalidInput) as refused:
        checked_seconds("delay", value)

    assert "delay" == refused.value.field


@pytest.mark.parametrize("value", [0, 0.0, timedelta(0)])
def test_a_duration_may_have_to_be_positive(value: float) -> None:
    """
    A timeout of nothing is none.
    """
    with pytest.raises(InvalidInput, match="must be more than 0 seconds"):
        checked_seconds("timeout", value, positive=True)
