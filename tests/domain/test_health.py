"""Health: from when on something is worth a word."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.health import ClockDifference, DeadRows, HolderKind, Snapshot
from tests.examples import NOON

OPEN = Snapshot(kind=HolderKind.SESSION, name="psql", transactions=5)
DEAD = DeadRows(dead=50_001, live=9_999, threshold=5_000)


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (replace(OPEN, seconds=59.0, transactions=10_000_000), False),
        (replace(OPEN, seconds=60.0), True),
        (replace(OPEN, transactions=999), False),
        (replace(OPEN, transactions=1_000), True),
    ],
)
def test_a_snapshot_is_old_by_time_where_it_has_one(snapshot: Snapshot, expected: bool) -> None:
    """A minute; by a thousand transactions where its time cannot be seen."""
    assert expected == snapshot.is_old


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (DEAD, True),
        (replace(DEAD, dead=50_000), False),
        (replace(DEAD, vacuum_seconds=300.0), False),
        (replace(DEAD, vacuum_seconds=301.0), True),
    ],
)
def test_dead_rows_are_neglected_when_they_are_many_and_no_vacuum_came(rows: DeadRows, expected: bool) -> None:
    """Ten times what calls autovacuum, and five minutes."""
    assert expected == rows.are_neglected


def test_the_share_of_dead_rows_is_one_of_all() -> None:
    """Of an empty table it is nothing."""
    assert (0.75, 0) == (replace(DEAD, dead=3, live=1).share, replace(DEAD, dead=0, live=0).share)


def test_clocks_are_compared_in_the_middle_of_the_round_trip() -> None:
    """The answer may be from any moment in between, so half of it is the error."""
    difference = ClockDifference.between(NOON, NOON + timedelta(seconds=9), NOON + timedelta(seconds=4))

    assert ClockDifference(7, 2) == difference


def test_a_difference_within_its_error_is_none() -> None:
    """Large is what exceeds five seconds for certain."""
    differences = [ClockDifference(-7, 2), ClockDifference(7, 1.9), ClockDifference(-7, 1.9)]

    assert [False, True, True] == [difference.is_large for difference in differences]
