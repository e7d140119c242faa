"""Clearing: what is to be done about a day follows from what of it goes."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.clearing import Held, Kind, Place, Way, clearances
from app.domain.retention_rules import RetentionRules

DAY = date(2026, 3, 1)
END = datetime(2026, 3, 2, tzinfo=UTC)
RULES = RetentionRules.of("completed=1d, failed=3d")
COMPLETED, FAILED = Kind("completed", "email:send", "default"), Kind("failed", "email:send", "default")


def held(completed: int, failed: int, place: Place = Place.DAY) -> Held:
    return Held(DAY, place, {COMPLETED: completed, FAILED: failed})


@pytest.mark.parametrize(
    ("held", "days", "way"),
    [
        (held(9, 3), 1.0, Way.MOVE),
        (held(9, 4), 1.0, Way.DELETE),
        (held(9, 0), 1.0, Way.DROP),
        (held(9, 4), 3.0, Way.DROP),
        (held(0, 4), 1.0, None),
        (held(9, 0), 0.999, None),
        (held(9, 3, Place.REST), 1.0, Way.DELETE),
        (held(9, 0, Place.KEPT), 1.0, Way.DELETE),
    ],
)
def test_the_way_is_the_one_that_is_least_work(held: Held, days: float, way: Way | None) -> None:
    """
    A day goes as a whole as soon as all of it is old enough; a few that stay are moved, many are left where they are.
    """
    [*found] = clearances([held], RULES, END + timedelta(days=days))

    assert ([] if way is None else [way]) == [clearance.way for clearance in found]


def test_where_nothing_may_be_dropped_nothing_is_moved() -> None:
    """
    What goes is deleted, and counted the same.
    """
    [clearance] = clearances([held(9, 3)], RULES, END + timedelta(days=1), may_drop=False)

    assert (Way.DELETE, 9, 3, {COMPLETED}) == (clearance.way, clearance.goes, clearance.stays, set(clearance.going))
