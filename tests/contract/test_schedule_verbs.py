"""The verbs of people: create, pause, resume, delete, run, backfill, list, look back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.errors import UnknownType
from app.domain.schedules.errors import (
    DuplicateSchedule,
    InvalidSchedule,
    ScheduleInCode,
    ScheduleNotFound,
    ScheduleRetired,
)
from app.domain.tasks.existing import ExistingTask
from tests.contract.clockwork import MINUTE, Clockwork, tick_of
from tests.contract.subject import Queue
from tests.examples import NOON


@pytest.fixture
def clockwork(queue: Queue) -> Clockwork:
    return Clockwork(queue)


def test_a_key_is_given_once(clockwork: Clockwork) -> None:
    """
    A second schedule of it is refused, and the first one stays as it is.
    """
    clockwork.create(every=MINUTE)

    with pytest.raises(DuplicateSchedule, match="'report'"):
        clockwork.create(every=5 * MINUTE)

    assert 60.0 == clockwork.stored().plan.every


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"every": MINUTE, "payload": {1, 2}}, "payload"),
        ({"every": MINUTE, "priority": "high"}, "priority"),
        ({"every": MINUTE, "colour": "red"}, "colour"),
        ({"at": NOON}, "at"),
        ({}, "cron"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_stored(
    clockwork: Clockwork, wrong: dict[str, Any], field: str
) -> None:
    """
    Naming the schedule and what is wrong of it.
    """
    with pytest.raises(InvalidSchedule, match="schedule 'report': ") as refused:
        clockwork.create(**wrong)

    assert ("report", field) == (refused.value.schedule, refused.value.field.split(".")[0])
    assert [] == clockwork.reports()


def test_a_schedule_is_made_where_its_job_is_known(queue: Queue) -> None:
    """
    Nobody else could say what its payload has to be.
    """
    with pytest.raises(UnknownType):
        Clockwork(queue, JobCatalog()).create(every=MINUTE)


def test_verbs_name_the_schedule_that_is_not_there(clockwork: Clockwork) -> None:
    """
    And whose it would be.
    """
    verbs = (clockwork.pause, clockwork.resume, clockwork.delete, clockwork.run_now, clockwork.history)
    for verb in verbs:
        with pytest.raises(ScheduleNotFound, match="'nightly' of application 'default'"):
            verb("nightly")
    with pytest.raises(ScheduleNotFound):
        clockwork.backfill(NOON - MINUTE, NOON, "nightly")


def test_a_paused_schedule_rests_and_goes_on_from_when_it_is_resumed(clockwork: Clockwork) -> None:
    """
    What it would have done meanwhile was called off, not missed. Said twice, nothing changes.
    """
    clockwork.create(every=MINUTE, misfire="all")
    clockwork.advance(60)
    clockwork.fire_all()

    paused = [clockwork.pause().paused_at, clockwork.pause().paused_at]
    clockwork.advance(600)
    meanwhile = clockwork.fire_all()
    clockwork.resume()
    clockwork.resume()
    clockwork.advance(60)

    assert [NOON + MINUTE] * 2 == paused
    assert (["12:01:00"], ["12:01:00", "12:12:00"]) == (meanwhile, clockwork.fire_all())


def test_a_deleted_schedule_is_gone_and_its_tasks_are_not(clockwork: Clockwork) -> None:
    """
    Only what was made at run time can be deleted, or what is retired.
    """
    clockwork.create(every=MINUTE)
    clockwork.define("code", every=MINUTE)
    clockwork.start()
    clockwork.advance(60)
    clockwork.fire_all()
    clockwork.delete()
    with pytest.raises(ScheduleInCode, match="'code'"):
        clockwork.delete("code")
    Clockwork(clockwork.queue).start()
    with pytest.raises(ScheduleRetired):
        clockwork.run_now("code")
    clockwork.delete("code")

    assert ([], 2) == (clockwork.reports(), clockwork.queue.stats().total)
    clockwork.create(every=MINUTE)
    assert [] == clockwork.history()


def test_a_schedule_is_run_by_hand(clockwork: Clockwork) -> None:
    """
    Paused or not, at this moment, several times; with another payload if that is given.
    """
    clockwork.create(cron="0 0 1 1 *", payload={"a": 1})
    clockwork.pause()

    tasks = [clockwork.run_now(), clockwork.run_now(payload={"a": 2})]

    assert [{"a": 1}, {"a": 2}] == [task.payload for task in tasks]
    assert NOON == tick_of(tasks[0]).at
    assert [("fired", "manual", None)] * 2 == [(run.state, run.kind, run.lateness) for run in clockwork.history()]
    assert tasks[1].id == clockwork.report().last_task_id


def test_a_backfill_makes_up_for_ticks_without_a_task(clockwork: Clockwork) -> None:
    """
    From the beginning on and before the end, one for each, those that have one already left out.
    """
    clockwork.create(cron="* * * * *", misfire="one")
    clockwork.advance(125)
    clockwork.fire_all()
    since = NOON - 2 * MINUTE

    tasks = clockwork.backfill(since, NOON + 2 * MINUTE)
    again = clockwork.backfill(since, NOON + 2 * MINUTE)

    assert ["11:58:00", "11:59:00", "12:00:00", "12:01:00"] == [f"{tick_of(task).at:%H:%M:%S}" for task in tasks]
    assert [True] * 4 == [tick_of(task).is_backfill for task in tasks]
    assert [] == again
    assert ["backfill"] * 4 + ["tick"] == [run.kind for run in clockwork.history()]
    assert 5 == clockwork.queue.stats().total


def test_a_tick_that_was_backfilled_is_not_fired_when_it_comes(clockwork: Clockwork) -> None:
    """
    As when the clock is put back: there is one task of a tick, however it was asked for.
    """
    clockwork.create(every=MINUTE)
    clockwork.advance(300)
    clockwork.backfill(NOON, NOON + 5 * MINUTE)
    clockwork.advance(-300)
    clockwork.fire()
    for _ in range(4):
        clockwork.advance(60)
        clockwork.fire_all()

    assert [f"12:0{minute}:00" for minute in range(5)] == clockwork.ticks()


@pytest.mark.parametrize(
    ("since", "until", "asked", "said"),
    [
        (NOON, NOON, {}, "must be later than the beginning"),
        (NOON - MINUTE, NOON + MINUTE, {}, "must be over: it is 2026-03-01 12:00:00 UTC"),
        (NOON - timedelta(days=10), NOON, {}, "holds more than 10,000 ticks of schedule 'report'"),
        (NOON - 11 * MINUTE, NOON, {"limit": 10}, "holds more than 10 ticks"),
        (datetime(2026, 1, 1), NOON, {}, "must have a time zone"),  # noqa: DTZ001
    ],
)
def test_a_backfill_is_bounded(
    clockwork: Clockwork, since: datetime, until: datetime, asked: dict[str, Any], said: str
) -> None:
    """
    All or nothing.
    """
    clockwork.create(every=MINUTE)

    with pytest.raises(InvalidInput, match=said):
        clockwork.backfill(since, until, **asked)

    assert 0 == clockwork.queue.stats().total


def test_history_is_bounded_and_what_is_forgotten_is_not_fired_again(clockwork: Clockwork) -> None:
    """
    Not when the clock is put back, and not by a backfill, which is refused then.
    """
    clockwork.create(every=MINUTE, misfire="all")
    clockwork.advance(600)
    clockwork.fire_all()

    trimmed = [clockwork.trim(keep=4), clockwork.trim(keep=4)]
    clockwork.advance(-600)
    clockwork.fire()
    clockwork.advance(600)
    clockwork.fire_all()
    with pytest.raises(InvalidInput, match="must be later than 2026-03-01 12:06:00 UTC"):
        clockwork.backfill(NOON + 6 * MINUTE, NOON + 10 * MINUTE)

    assert [6, 0] == trimmed
    assert 10 == clockwork.queue.stats().total
    assert ["12:07:00", "12:08:00", "12:09:00", "12:10:00"] == [state.split()[0] for state in clockwork.states()]
    assert [] == clockwork.backfill(NOON + 7 * MINUTE, NOON + 10 * MINUTE)


def test_a_report_says_what_there_is_to_know(clockwork: Clockwork) -> None:
    """
    The ticks that follow, the last one, what became of its task, and a sentence for what is wrong.
    """
    clockwork.create(cron="0 13 * * *", timezone="Europe/Berlin")
    fresh = clockwork.report()
    clockwork.advance(86_400 - 3)
    clockwork.advance(4)
    clockwork.fire_all()
    clockwork.queue.register(lease=1e9)
    clockwork.queue.fail(clockwork.queue.claim_one())
    run = clockwork.report()
    clockwork.advance(2 * 86_400)
    late = clockwork.report()

    assert ("ticking", None, ()) == (fresh.state, fresh.last_tick, fresh.warnings)
    assert [NOON + timedelta(days=day) for day in (1, 2, 3)] == list(fresh.next_ticks)
    assert (NOON + timedelta(days=1), "failed", ("its last task failed",)) == (
        run.last_tick,
        run.last_status,
        run.warnings,
    )
    assert 1.0 == clockwork.history()[-1].lateness
    assert late.warnings[0].startswith("due since 2026-03-03 12:00:00 UTC: no worker of application 'default'")


def test_the_history_tells_how_late_each_tick_was_and_what_became_of_its_task(clockwork: Clockwork) -> None:
    """
    The latest first, as many as asked for.
    """
    clockwork.create(every=MINUTE)
    for seconds in (60.25, 60.25):
        clockwork.advance(seconds)
        clockwork.fire()
    clockwork.queue.register(lease=1e9)
    clockwork.queue.complete(clockwork.queue.claim_one())

    runs = clockwork.history()

    assert [0.25, 0.5] == [run.lateness for run in runs]
    assert ["completed", "pending"] == [run.task_status for run in runs]
    assert [NOON + 2 * MINUTE] == [run.tick for run in clockwork.history(limit=1)]


def test_once_is_a_plain_task_at_a_moment_to_come(clockwork: Clockwork) -> None:
    """
    It is checked as any other, and has no tick.
    """
    at = NOON + timedelta(hours=5)

    task = clockwork.once({"a": 1}, at=at, queue="slow")
    later = clockwork.once(delay=MINUTE)
    for wrong in ({}, {"at": at, "delay": 5}, {"at": datetime(2030, 1, 1)}, {"at": at, "payload": {1}}):  # noqa: DTZ001
        with pytest.raises(InvalidInput):
            clockwork.once(**wrong)

    assert (at, "slow", {"a": 1}, None) == (task.scheduled_at.astimezone(UTC), task.queue, task.payload, task.origin)
    assert (NOON + MINUTE, {}) == (later.scheduled_at, later.payload)
    assert 2 == clockwork.queue.stats().total


def test_once_may_be_asked_for_twice_by_a_key(clockwork: Clockwork) -> None:
    """
    As long as the first has not ended, it is the answer.
    """
    first = clockwork.once(at=NOON + MINUTE, key="reminder 7")
    second = clockwork.once(at=NOON + 2 * MINUTE, key="reminder 7")
    other = clockwork.once(at=NOON + MINUTE, key="reminder 8")
    clockwork.queue.cancel(first)
    third = clockwork.once(at=NOON + 3 * MINUTE, key="reminder 7")
    fourth = clockwork.once(at=NOON + 3 * MINUTE, key="reminder 7")

    assert (first.id, True, False) == (second.id, isinstance(second, ExistingTask), isinstance(first, ExistingTask))
    assert third.id == fourth.id
    assert 3 == len({first.id, other.id, third.id})
    assert 3 == clockwork.queue.stats().total
