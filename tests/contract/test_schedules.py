"""Schedules: each tick that comes gets one task, whatever the clock does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.unique import Unique
from app.domain.schedules.misfire import Misfire
from app.domain.schedules.tick import ScheduledTick
from app.domain.uniques import TaskNotUnique
from tests.contract.clockwork import MINUTE, Clockwork, handler, reports, tick_of
from tests.contract.subject import Queue
from tests.examples import NOON, REPORT

HOUR = 3600


@pytest.fixture
def clockwork(queue: Queue) -> Clockwork:
    return Clockwork(queue)


def test_a_tick_that_has_come_gets_one_task(clockwork: Clockwork) -> None:
    """
    With the payload and the options of its schedule, due at once; the handler is told the nominal tick, in the zone of
    the schedule.
    """
    clockwork.define(cron="30 13 * * *", timezone="Europe/Berlin", payload={"a": 1}, queue="slow", tags=["x"])
    clockwork.start()

    before = clockwork.fire()
    clockwork.advance(30 * 60 + 2)
    fired, again = clockwork.fire(), clockwork.fire()
    [task] = clockwork.tasks()

    assert (0, 1800.0) == (before.number, before.wait)
    assert (1, ["report"], 0) == (fired.number, fired.keys, again.number)
    assert (REPORT, {"a": 1}, "slow", ("x",)) == (task.type, task.payload, task.queue, task.tags)
    assert NOON + timedelta(minutes=30, seconds=2) == task.scheduled_at == task.created_at
    assert "2026-03-01T13:30:00+01:00 Europe/Berlin" == f"{tick_of(task).at.isoformat()} {tick_of(task).at.tzinfo}"
    assert ("report", False) == (tick_of(task).schedule, tick_of(task).is_backfill)


def test_many_schedules_tick_in_one_transaction(clockwork: Clockwork) -> None:
    """
    Each for itself, and the next look is for the one that comes first.
    """
    for minutes in (1, 2, 3, 5):
        clockwork.define(f"every {minutes}", every=minutes * MINUTE)
    clockwork.start()
    waits, numbers = [], []

    for _ in range(6):
        waits.append(clockwork.look_in())
        clockwork.advance(60)
        numbers.append(clockwork.fire().number)

    assert [60.0] * 6 == waits
    assert [1, 2, 2, 2, 2, 3] == numbers


def test_an_interval_ticks_at_its_multiples(clockwork: Clockwork) -> None:
    """
    Counted from the epoch, or from an anchor of its own, whenever the schedule was made.
    """
    clockwork.advance(7.5)
    clockwork.create("quarter", every=timedelta(minutes=15))
    clockwork.create("anchored", every=timedelta(minutes=15), anchor=NOON + timedelta(minutes=5))
    clockwork.advance(HOUR)

    for _ in range(3):
        clockwork.fire_all()

    assert ["13:00:00", "12:50:00"] == [
        f"{one.last_tick:%H:%M:%S}"
        for one in sorted(clockwork.reports(), key=lambda one: one.key, reverse=True)
        if one.last_tick
    ]


def test_a_single_moment_ticks_once(clockwork: Clockwork) -> None:
    """
    After that the schedule is over.
    """
    clockwork.define(at=NOON + MINUTE)
    clockwork.start()
    clockwork.advance(61)

    ticks = [clockwork.fire_all(), clockwork.fire_all()]
    clockwork.start()

    assert [["12:01:00"]] * 2 == ticks
    assert ("over", None) == (clockwork.report().state, clockwork.look_in())


@pytest.mark.parametrize(
    ("misfire", "ticks"),
    [
        ("skip", ["12:10:00"]),
        ("one", ["12:10:00"]),
        ("all", [f"12:{minute:02}:00" for minute in range(1, 11)]),
        (Misfire(most=3), ["12:08:00", "12:09:00", "12:10:00"]),
        (Misfire(within=5 * MINUTE), ["12:06:00", "12:07:00", "12:08:00", "12:09:00", "12:10:00"]),
        (Misfire(most=2, within=5 * MINUTE), ["12:09:00", "12:10:00"]),
    ],
)
def test_what_was_missed_is_made_up_for_by_the_rule(clockwork: Clockwork, misfire: Any, ticks: list[str]) -> None:
    """
    Nobody was there for ten minutes; the last tick is only some seconds late. The first tick that is given up for good
    stands in the history.
    """
    clockwork.define(cron="* * * * *", misfire=misfire)
    clockwork.start()
    clockwork.advance(10 * 60 + 7)

    assert ticks == clockwork.fire_all()
    missed = [] if misfire == "all" else ["12:01:00 missed"]
    assert missed + [f"{tick} fired" for tick in ticks] == clockwork.states()


@pytest.mark.parametrize(("misfire", "ticks"), [("skip", []), ("one", ["12:10:00"])])
def test_a_tick_is_missed_when_nobody_came_for_half_a_minute(
    clockwork: Clockwork, misfire: Any, ticks: list[str]
) -> None:
    """
    With ``one`` the latest of them gets a run all the same.
    """
    clockwork.define(cron="* * * * *", misfire=misfire)
    clockwork.start()
    clockwork.advance(10 * 60 + 31)

    assert ticks == clockwork.fire_all()


def test_a_year_of_seconds_is_not_counted(clockwork: Clockwork) -> None:
    """
    Neither skipped nor made up for tick by tick; of ``all`` a transaction takes some hundred.
    """
    for misfire in ("skip", "one", "all"):
        clockwork.define(misfire, cron="* * * * * *", timezone="America/New_York", misfire=misfire)
    clockwork.start()
    clockwork.advance(365 * 86_400)

    fired = clockwork.fire()

    assert 1 + 1 + 500 // 3 == fired.number
    assert 0 == fired.wait


def test_the_clock_goes_back_an_hour(clockwork: Clockwork) -> None:
    """
    No tick is fired again, and the next new one comes when it comes.
    """
    clockwork.define(every=10 * MINUTE)
    clockwork.start()
    for _ in range(6):
        clockwork.advance(600)
        clockwork.fire()
    before = clockwork.ticks()

    clockwork.advance(-HOUR)
    look = clockwork.look_in()
    waits = []
    for _ in range(7):
        waits.append(clockwork.fire().wait)
        clockwork.advance(600)
    after = clockwork.fire_all()

    assert 0 == look
    assert [600.0] * 7 == waits
    assert [*before, "13:10:00"] == after


def test_the_clock_goes_forth_a_day_and_back(clockwork: Clockwork) -> None:
    """
    What comes of the real day is fired when it comes, and nothing is fired twice.
    """
    clockwork.define(cron="0 * * * *", misfire="one")
    clockwork.start()
    clockwork.advance(HOUR)
    clockwork.fire_all()
    clockwork.advance(24 * HOUR)
    clockwork.fire_all()

    clockwork.advance(-24 * HOUR)
    for _ in range(48):
        clockwork.fire_all()
        clockwork.advance(HOUR)

    days = [tick_of(task).at for task in clockwork.tasks()]
    assert [NOON + timedelta(hours=number) for number in range(1, 49)] == days


def test_jitter_delays_the_task_and_not_the_tick(clockwork: Clockwork) -> None:
    """
    By the same time whoever works it out, and by another for each tick.
    """
    clockwork.define(every=MINUTE, jitter=30, misfire="all")
    clockwork.start()
    clockwork.advance(600)
    clockwork.fire_all()

    delays = [(task.scheduled_at - tick_of(task).at).total_seconds() for task in clockwork.tasks()]
    task = clockwork.scheduling.task_of_tick(clockwork.stored(), NOON + MINUTE)

    assert 10 == len(set(delays))
    assert 0 <= min(delays) < max(delays) < 30
    assert delays[0] == (task.scheduled_at - NOON - MINUTE).total_seconds()  # type: ignore[operator]


def test_what_is_not_known_here_is_left_to_others(queue: Queue) -> None:
    """
    Schedules of another application, of a job that is not defined here, and of a newer version of it.
    """
    newer = JobCatalog()
    newer.define(REPORT, version=2)(handler)
    theirs = Clockwork(queue, application="other")
    ours, empty, new = Clockwork(queue), Clockwork(queue, JobCatalog()), Clockwork(queue, newer)
    theirs.create(every=MINUTE)
    ours.create("first", every=MINUTE)
    new.create("second", every=MINUTE)
    queue.clock.advance(60)

    assert (None, []) == (empty.look_in(), empty.fire().keys)
    assert ["first"] == ours.fire().keys
    assert ["second"] == new.fire().keys
    assert ["report"] == theirs.fire().keys


def test_a_refused_task_does_not_hold_up_the_others(queue: Queue) -> None:
    """
    Its tick is noted as refused, with the reason, and is not tried again.
    """
    jobs = reports()
    jobs.define("strict", unique=Unique(on_conflict="raise"))(handler)
    clockwork = Clockwork(queue, jobs)
    strict = jobs.get("strict")
    assert strict is not None
    jobs.schedule(strict, every=MINUTE)
    clockwork.define(every=MINUTE)
    clockwork.start()
    clockwork.advance(60)
    clockwork.fire()
    clockwork.advance(60)

    with pytest.raises(TaskNotUnique):
        clockwork.fire()
    fired = clockwork.fire(["report"])
    refused = clockwork.fire(["strict"], "no")

    assert (1, 0, 60.0) == (fired.number, refused.number, refused.wait)
    assert ["12:01:00 fired", "12:02:00 refused"] == clockwork.states("strict")
    assert "no" == clockwork.history("strict")[-1].reason


def test_a_tick_of_a_unique_job_is_stood_for_by_the_task_that_is_there(queue: Queue) -> None:
    """
    No second one is stored, and the history says so.
    """
    jobs = JobCatalog()
    job = jobs.define(REPORT, unique=Unique())(handler)
    jobs.schedule(job, key="report", every=MINUTE, misfire="all")
    clockwork = Clockwork(queue, jobs)
    clockwork.start()
    clockwork.advance(180)

    clockwork.fire_all()

    runs = clockwork.history()
    assert (1, 3) == (clockwork.queue.stats().total, len(runs))
    assert {clockwork.tasks()[0].id} == {run.task_id for run in runs}
    assert [False, True, True] == [bool(run.reason) for run in runs]


def test_a_handler_of_any_other_task_sees_no_tick() -> None:
    """
    Nor one whose origin is something else.
    """
    assert [None] * 3 == [ScheduledTick.of(origin) for origin in (None, {}, {"flow": "x"})]


def test_a_tick_in_a_zone_that_is_gone_keeps_its_offset() -> None:
    """
    As on a machine with an older table of zones.
    """
    origin = {"schedule": "a", "tick": "2026-03-01T13:30:00+01:00", "backfill": True, "timezone": "Atlantis/Capital"}

    tick = ScheduledTick.of(origin)

    assert ScheduledTick("a", datetime(2026, 3, 1, 12, 30, tzinfo=UTC), is_backfill=True) == tick
    assert "+01:00" == tick.at.isoformat()[-6:]
