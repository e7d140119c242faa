"""Timetables: which moments are ticks, whatever the clocks on the walls do."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.schedules.plan import Plan
from app.domain.schedules.timetable import INSTANT, OneTick, Timetable
from app.infra.crons import CronSimCrons

CRONS = CronSimCrons()
RULES = ("skip", "shift", "both")


def timetable(cron: str, zone: str = "UTC", dst: Any = "shift") -> Timetable:
    return Plan(cron=cron, timezone=zone, dst=dst).timetable(CRONS)


def ticks(cron: str, zone: str, dst: str, since: str, number: int) -> list[str]:
    """The ticks behind the local time *since*, as the wall shows them, with what it is ahead of UTC."""
    table, place = timetable(cron, zone, dst), datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(zone))
    moment: datetime | None = place.astimezone(UTC)
    found = []
    for _ in range(number):
        assert moment is not None
        moment = table.after(moment)
        if moment is None:
            break
        found.append(f"{moment.astimezone(ZoneInfo(zone)):%m-%d %H:%M %z}")
    return found


GAPS: list[tuple[str, str, str, dict[str, list[str]]]] = [
    (
        "America/New_York",
        "30 2 * * *",
        "2026-03-07 12:00",
        {
            "skip": ["03-09 02:30 -0400", "03-10 02:30 -0400"],
            "shift": ["03-08 03:00 -0400", "03-09 02:30 -0400"],
            "both": ["03-08 03:00 -0400", "03-09 02:30 -0400"],
        },
    ),
    (
        "America/New_York",
        "*/20 * * * *",
        "2026-03-08 01:30",
        {
            "skip": ["03-08 01:40 -0500", "03-08 03:00 -0400", "03-08 03:20 -0400"],
            "shift": ["03-08 01:40 -0500", "03-08 03:00 -0400", "03-08 03:20 -0400"],
            "both": ["03-08 01:40 -0500", "03-08 03:00 -0400", "03-08 03:20 -0400"],
        },
    ),
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2026-03-28 12:00",
        {"skip": ["03-30 02:30 +0200"], "shift": ["03-29 03:00 +0200"], "both": ["03-29 03:00 +0200"]},
    ),
    (
        "Australia/Lord_Howe",  # half an hour
        "15 2 * * *",
        "2026-10-03 12:00",
        {"skip": ["10-05 02:15 +1100"], "shift": ["10-04 02:30 +1100"], "both": ["10-04 02:30 +1100"]},
    ),
    (
        "Australia/Lord_Howe",
        "45 2 * * *",
        "2026-10-03 12:00",
        {rule: ["10-04 02:45 +1100"] for rule in RULES},
    ),
    (
        "Pacific/Apia",  # the 30th of December 2011 was left out
        "0 12 * * *",
        "2011-12-28 13:00",
        {
            "skip": ["12-29 12:00 -1000", "12-31 12:00 +1400"],
            "shift": ["12-29 12:00 -1000", "12-31 00:00 +1400", "12-31 12:00 +1400"],
            "both": ["12-29 12:00 -1000", "12-31 00:00 +1400", "12-31 12:00 +1400"],
        },
    ),
    (
        "Pacific/Apia",
        "0 0 30 12 *",
        "2011-01-01 00:00",
        {
            "skip": ["12-30 00:00 +1400"],  # of 2012
            "shift": ["12-31 00:00 +1400"],
            "both": ["12-31 00:00 +1400"],
        },
    ),
]

REPEATS: list[tuple[str, str, str, dict[str, list[str]]]] = [
    (
        "America/New_York",
        "30 1 * * *",
        "2026-10-31 12:00",
        {
            "skip": ["11-01 01:30 -0400", "11-02 01:30 -0500"],
            "shift": ["11-01 01:30 -0400", "11-02 01:30 -0500"],
            "both": ["11-01 01:30 -0400", "11-01 01:30 -0500", "11-02 01:30 -0500"],
        },
    ),
    (
        "America/New_York",
        "*/30 * * * *",
        "2026-11-01 00:45",
        {
            "skip": ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 02:00 -0500", "11-01 02:30 -0500"],
            "shift": ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 02:00 -0500", "11-01 02:30 -0500"],
            "both": ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 01:00 -0500", "11-01 01:30 -0500"],
        },
    ),
    (
        "Europe/Berlin",
        "0 0 2 * * *",
        "2026-10-24 12:00",
        {
            "skip": ["10-25 02:00 +0200", "10-26 02:00 +0100"],
            "shift": ["10-25 02:00 +0200", "10-26 02:00 +0100"],
            "both": ["10-25 02:00 +0200", "10-25 02:00 +0100", "10-26 02:00 +0100"],
        },
    ),
    (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2026-04-04 12:00",
        {
            "skip": ["04-05 01:45 +1100", "04-06 01:45 +1030"],
            "shift": ["04-05 01:45 +1100", "04-06 01:45 +1030"],
            "both": ["04-05 01:45 +1100", "04-05 01:45 +1030", "04-06 01:45 +1030"],
        },
    ),
    (
        "Australia/Lord_Howe",
        "15 1 * * *",
        "2026-04-04 12:00",
        {rule: ["04-05 01:15 +1100", "04-06 01:15 +1030"] for rule in RULES},
    ),
]

ELSEWHERE = [
    ("Asia/Tokyo", "0 9 * * *", "2026-03-07 12:00", ["03-08 09:00 +0900", "03-09 09:00 +0900"]),
    ("UTC", "0 0 29 2 *", "2026-01-01 00:00", ["02-29 00:00 +0000", "02-29 00:00 +0000"]),
    ("UTC", "0 0 31 * *", "2026-01-15 00:00", ["01-31 00:00 +0000", "03-31 00:00 +0000", "05-31 00:00 +0000"]),
    ("UTC", "0 0 L * *", "2026-01-31 12:00", ["02-28 00:00 +0000", "03-31 00:00 +0000"]),
    ("UTC", "0 0 * * MON#1", "2026-03-03 00:00", ["04-06 00:00 +0000", "05-04 00:00 +0000"]),
    ("UTC", "@weekly", "2026-03-03 00:00", ["03-08 00:00 +0000", "03-15 00:00 +0000"]),
]


@pytest.mark.parametrize("dst", RULES)
@pytest.mark.parametrize(("zone", "cron", "since", "expected"), [*GAPS, *REPEATS])
def test_a_change_of_the_clocks_does_what_its_rule_says(
    zone: str, cron: str, since: str, expected: dict[str, list[str]], dst: str
) -> None:
    """What is left out has no tick, or one right after the gap; what is shown twice has one, or two."""
    assert expected[dst] == ticks(cron, zone, dst, since, len(expected[dst]))


@pytest.mark.parametrize("dst", RULES)
@pytest.mark.parametrize(("zone", "cron", "since", "expected"), ELSEWHERE)
def test_where_no_clock_is_changed_the_rule_does_not_matter(
    zone: str, cron: str, since: str, expected: list[str], dst: str
) -> None:
    """Nor does it to leap days, and to months without a 31st."""
    assert expected == ticks(cron, zone, dst, since, len(expected))


ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tokyo", "Africa/Casablanca"]
PLANS = ["* * * * * *", "*/7 * * * *", "30 1,2 * * *", "0 0 30 12 *", "15 2 * * *", "0 12 L * *"]


@given(
    zone=st.sampled_from(ZONES),
    cron=st.sampled_from(PLANS),
    dst=st.sampled_from(RULES),
    moment=st.datetimes(datetime(2011, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_forwards_and_backwards_are_the_same_ticks(zone: str, cron: str, dst: str, moment: datetime) -> None:
    """The first tick after the last one before a moment is that of after the moment."""
    table = timetable(cron, zone, dst)

    before, behind = table.until(moment), table.after(moment)

    assert before is not None
    assert behind is not None
    assert before <= moment < behind
    assert (behind, before) == (table.after(before), table.until(behind - INSTANT))
    assert (before, behind) == (table.until(before), table.until(behind))


def test_an_hour_that_is_shown_twice_is_passed_over_at_once() -> None:
    """Not second by second, nor is a day that is left out."""
    every_second = timetable("* * * * * *", "Pacific/Apia", "skip")
    end = datetime(2011, 12, 30, 9, 59, 59, tzinfo=UTC)

    assert (end + timedelta(seconds=1), end) == (
        every_second.after(end),
        every_second.until(end + timedelta(0.00001)) and end,
    )
    night = timetable("* * * * * *", "America/New_York", "skip")
    assert datetime(2026, 11, 1, 7, tzinfo=UTC) == night.after(datetime(2026, 11, 1, 6, tzinfo=UTC))


def test_an_interval_counts_in_absolute_time() -> None:
    """Whatever the walls show; from an anchor in both directions, up to the end of the calendar."""
    night = datetime(2026, 3, 8, 1, tzinfo=ZoneInfo("America/New_York"))
    table = Plan(every=timedelta(hours=6), anchor=night).timetable(CRONS)
    anchor = datetime(2026, 3, 8, 6, tzinfo=UTC)

    assert [anchor, anchor + timedelta(hours=6)] == [table.until(anchor), table.after(anchor)]
    assert anchor - timedelta(hours=6) == table.until(anchor - INSTANT)
    assert None is table.after(datetime(9999, 12, 31, 23, tzinfo=UTC))


def test_one_moment_is_one_tick() -> None:
    """Before it, it comes; from it on, it was."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    table = OneTick(at)

    assert (at, None, at, None) == (
        table.after(at - INSTANT),
        table.after(at),
        table.until(at),
        table.until(at - INSTANT),
    )
