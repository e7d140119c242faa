"""Misfire: how much of what was missed is made up for, however fast a schedule ticks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import Misfire
from app.domain.schedules.misfire import due_ticks
from app.domain.schedules.timetable import IntervalTicks

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = ("skip", "one", "all", Misfire(most=2), Misfire(within=1))


def seconds(rule: Any, *, every: float, away: float, limit: int = 500) -> list[int]:
    """The ticks that are fired, in seconds from noon, when all until noon were and somebody comes so much later."""
    table, now = IntervalTicks(timedelta(seconds=every)), NOON + timedelta(seconds=away)
    after, fired = NOON, []
    while True:
        due = due_ticks(table, rule, after=after, now=now, limit=limit)
        fired += [round((tick - NOON).total_seconds()) for tick in due.ticks]
        if due.through in (now, after):
            return fired
        after = due.through


@pytest.mark.parametrize(
    ("rule", "fired"),
    [
        ("skip", [50]),
        ("one", [50]),
        ("all", [*range(1, 51)]),
        (Misfire(most=3), [48, 49, 50]),
        (Misfire(most=40), [*range(11, 51)]),
        (Misfire(within=5), [46, 47, 48, 49, 50]),
        (Misfire(within=10, most=2), [49, 50]),
        (Misfire(within=0.25), [50]),
    ],
)
@pytest.mark.parametrize("limit", [1, 500])
def test_what_is_made_up_for_is_bounded_however_fast_a_schedule_ticks(rule: Any, fired: list[int], limit: int) -> None:
    """Each second, and nobody was there for fifty of them; one transaction, or one for each tick."""
    assert fired == seconds(rule, every=1, away=50.5, limit=limit)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("late", [0.0, 1.0, 2.5, 4.0, 6.0])
def test_who_is_some_seconds_late_loses_no_tick(rule: Any, late: float) -> None:
    """A busy machine, or a worker that takes another one's place, is no outage: the first of them is not 5 s old."""
    assert [*range(1, int(late) + 1)] == seconds(rule, every=1, away=late)


@pytest.mark.parametrize(
    ("every", "away", "fired"),
    [
        (10, 39, {"skip": [30], "one": [30]}),
        (3600, 3600 + 30, {"skip": [3600], "one": [3600]}),
        (3600, 3600 + 30.5, {"skip": [], "one": [3600]}),
        (60, 125, {"skip": [120], "one": [120]}),
        (40, 75, {"skip": [], "one": [40]}),
    ],
)
def test_the_latest_tick_is_in_time_for_half_a_minute(every: float, away: float, fired: dict[str, list[int]]) -> None:
    """Unless the next one has come: then that is the latest."""
    assert fired == {rule: seconds(rule, every=every, away=away) for rule in ("skip", "one")}
