"""Whole numbers: what fits into a 32-bit column."""

from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.numbers import INT32, checked_whole_number


@pytest.mark.parametrize("value", [0, -1, INT32, -INT32 - 1])
def test_a_32_bit_number_passes(value: int) -> None:
    """
    Both ends included.
    """
    assert value == checked_whole_number("priority", value)


@pytest.mark.parametrize(
    "value", [INT32 + 1, -INT32 - 2, pytest.param(10**400, id="huge"), 1.0, "1", None, True, float("nan")]
)
def test_any_other_number_is_refused(value: Any) -> None:
    """
    Too large, or no whole number.
    """
    with pytest.raises(InvalidInput) as refused:
        checked_whole_number("priority", value)

    assert ("priority", repr(value)) == (refused.value.field, repr(refused.value.value))


def test_the_range_may_be_narrower() -> None:
    """
    The error names the range.
    """
    assert 1 == checked_whole_number("limit", 1, low=1, high=9)
    with pytest.raises(InvalidInput, match="must lie between 1 and 9"):
        checked_whole_number("limit", 0, low=1, high=9)
