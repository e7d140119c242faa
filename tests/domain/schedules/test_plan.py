"""Plans and definitions: what may be said of a schedule, and what is refused where it is written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import DuplicateSchedule, InvalidInput, InvalidJob, InvalidSchedule, JobCatalog, Misfire, ScheduleDefinition
from app.domain.schedules.jitter import jitter_of
from app.domain.schedules.plan import Plan
from app.infra.crons import CronSimCrons

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def handler(payload: Any, context: Any) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "cron"),
        ({"cron": "* * * * *", "every": 60}, "cron"),
        ({"cron": 5}, "cron"),
        ({"cron": ""}, "cron"),
        ({"cron": "* * * *"}, "cron"),
        ({"cron": "* * * * * * *"}, "cron"),
        ({"cron": "@reboot"}, "cron"),
        ({"cron": "1," * 5_000 + "1 * * * *"}, "cron"),
        ({"cron": "\u0661 * * * *"}, "cron"),
        ({"every": 0.5}, "every"),
        ({"every": "soon"}, "every"),
        ({"at": datetime(2026, 1, 1)}, "at"),  # noqa: DTZ001
        ({"cron": "* * * * *", "anchor": MOMENT}, "anchor"),
        ({"every": 60, "timezone": "Mars/Phobos"}, "timezone"),
        ({"every": 60, "timezone": "Europe"}, "timezone"),
        ({"every": 60, "timezone": "../etc/passwd"}, "timezone"),
        ({"every": 60, "timezone": None}, "timezone"),
        ({"every": 60, "dst": "twice"}, "dst"),
        ({"every": 60, "overlap": "never"}, "overlap"),
        ({"every": 60, "misfire": "two"}, "misfire"),
        ({"every": 60, "jitter": -1}, "jitter"),
        ({"every": 60, "enabled": "yes"}, "enabled"),
        ({"every": 60, "colour": "red"}, "colour"),
        ({"every": 60, "priority": 1.5}, "priority"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(wrong: dict[str, Any], field: str) -> None:
    """With the key of the schedule, the field, what was given, and what is allowed."""
    jobs = JobCatalog()
    job = jobs.define("job")(handler)

    with pytest.raises(InvalidSchedule, match=r"^schedule 'nightly': ") as refused:
        jobs.schedule(job, key="nightly", **wrong)

    assert ("nightly", field) == (refused.value.schedule, refused.value.field)
    assert () == jobs.schedules


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({}, r"^cron: must be given, or else every= or at= \(given: None\)$"),
        ({"cron": "@daily", "every": 60}, r"not cron and every \(given: {'cron': '@daily', 'every': 60}\)$"),
        ({"cron": "61 * * * *"}, r"as minute 0 to 59; or \*, .*; not '61' \(given: '61 \* \* \* \*'\)$"),
        ({"cron": "0 99 * * * *"}, "as minute 0 to 59; .* not '99'"),
        ({"cron": "60 0 * * * *"}, "as second 0 to 59; .* not '60'"),
        ({"cron": "0 1-24 * * *"}, "as hour 0 to 23; .* not '1-24'"),
        ({"cron": "0 0 0 * *"}, "as day of month 1 to 31, L for the last day, .* not '0'"),
        ({"cron": "0 0 32 2 *"}, "as day of month 1 to 31, L for the last day, .* not '32'"),
        ({"cron": "0 0 * foo *"}, "as month 1 to 12, or jan to dec; .* not 'foo'"),
        ({"cron": "0 0 * * mon#6"}, "as day of week 0 to 7 .* not 'mon#6'"),
        ({"cron": "*/0 * * * *"}, "as minute 0 to 59; .* not '\\*/0'"),
        ({"cron": "0 0 30 2 *"}, "must name a day that exists: no month has one like this"),
        ({"cron": "0 0 31 2,4 *"}, "must name a day that exists: no month has one like this"),
        ({"cron": "0 0 31 apr,jun */1"}, "must name a day that exists: no month has one like this"),
    ],
)
def test_a_wrong_plan_is_told_what_is_allowed(plan: dict[str, Any], said: str) -> None:
    """The field of an expression, what it may hold, and what was given."""
    with pytest.raises(InvalidInput, match=said):
        Plan(**plan).timetable(CronSimCrons())


@pytest.mark.parametrize("wrong", [{}, {"most": 0}, {"most": 10_001}, {"within": 0}, {"within": "long"}])
def test_a_bounded_misfire_says_its_bounds(wrong: dict[str, Any]) -> None:
    """At least one of them, each more than nothing."""
    with pytest.raises(InvalidInput, match="misfire"):
        Misfire(**wrong)


def test_a_setting_says_durations_as_text_or_in_seconds() -> None:
    """All of them, within a misfire too."""
    plain = ScheduleDefinition(key="a", type="job", plan=Plan(cron="@daily"))
    texts = {"every": "90s", "jitter": "1m30s", "misfire": {"within": "1h", "most": 3}}
    numbers = {"every": 90, "jitter": 90.0, "misfire": {"within": 3600, "most": 3}}

    read = [plain.overridden(said).plan for said in (texts, numbers)]

    assert [Plan(every=90, jitter=90, misfire=Misfire(within=timedelta(hours=1), most=3))] * 2 == read


def test_a_key_is_given_once_in_a_catalog_and_in_what_is_merged() -> None:
    """Without one, the type is the key; merged catalogs have the schedules of both."""
    one, two, three = JobCatalog(), JobCatalog(), JobCatalog()
    first, second, third = one.define("a")(handler), two.define("b")(handler), three.define("c")(handler)
    one.schedule(first, every=60)
    one.schedule(first, every=60, key="more")
    two.schedule(second, every=60)
    three.schedule(third, every=60, key="a")

    with pytest.raises(DuplicateSchedule, match="'a'"):
        one.schedule(first, cron="@daily")
    with pytest.raises(DuplicateSchedule, match="'a'"):
        one.merged(three)
    with pytest.raises(InvalidJob):
        one.schedule(second, every=60)

    assert ["a", "more", "b"] == [definition.key for definition in one.merged(two).schedules]


def test_the_tasks_of_a_schedule_go_where_its_job_says() -> None:
    """Unless the schedule says something else."""
    jobs = JobCatalog()
    job = jobs.define("job", queue="slow", priority=3)(handler)

    definition = jobs.schedule(job, every=60, priority=5, tags=["x"])

    assert {"queue": "slow", "priority": 5, "tags": ["x"]} == definition.options


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (Plan(cron="@Daily", timezone="Asia/Tokyo"), "0 0 * * * (Asia/Tokyo)"),
        (Plan(cron=" 0  2 * * mon "), "0 2 * * mon (UTC)"),
        (Plan(every=timedelta(minutes=5)), "every 0:05:00"),
        (Plan(at=MOMENT), "at 2026-03-01 12:00:00 UTC"),
    ],
)
def test_a_plan_can_be_read(plan: Plan, text: str) -> None:
    """Nicknames as what they stand for."""
    assert text == str(plan)


def test_one_kind_of_plan_takes_the_place_of_another() -> None:
    """What does not belong to a kind stays as it was."""
    plan = Plan(every=60, anchor=MOMENT, jitter=5, overlap="skip")

    replaced = plan.replaced({"cron": "@hourly", "timezone": "Asia/Tokyo"})

    assert Plan(cron="@hourly", timezone="Asia/Tokyo", jitter=5, overlap="skip") == replaced
    with pytest.raises(InvalidInput, match="crom"):
        plan.replaced({"crom": "@hourly"})


def test_jitter_is_spread_evenly_and_the_same_everywhere() -> None:
    """By the schedule and its tick, and nothing else."""
    drawn = [jitter_of("a", MOMENT + timedelta(minutes=number), 60).total_seconds() for number in range(2_000)]

    assert 0 <= min(drawn) < 1
    assert 59 < max(drawn) < 60
    assert abs(sum(drawn) / len(drawn) - 30) < 2
    assert jitter_of("a", MOMENT, 60) == jitter_of("a", MOMENT.astimezone(), 60) != jitter_of("b", MOMENT, 60)
    assert timedelta() == jitter_of("a", MOMENT, 0)
