"""Reconcile: the database says of schedules what the code says, and nothing else is touched."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.schedules.errors import InvalidOverride, InvalidSchedule
from tests.contract.clockwork import MINUTE, Clockwork
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import NOON


def version(queue: Queue, *keys: str, every: timedelta = MINUTE, **asked: Any) -> Clockwork:
    """A version of the code that defines *keys*."""
    clockwork = Clockwork(queue, **asked)
    for key in keys:
        clockwork.define(key, every=every)
    return clockwork


def found(clockwork: Clockwork) -> list[str]:
    return [f"{one.key} {one.state}" for one in clockwork.reports()]


def test_the_first_start_adds_and_further_ones_do_nothing(queue: Queue) -> None:
    """
    Not a row is written again.
    """
    clockwork = version(queue, "a", "b")

    first, second, third = clockwork.start(), clockwork.start(), version(queue, "b", "a").start()

    assert (["a", "b"], [], [], []) == first
    assert second.is_nothing
    assert third.is_nothing
    assert ["a ticking", "b ticking"] == found(clockwork)


def test_what_changed_is_changed_and_ticks_by_the_new_plan(queue: Queue) -> None:
    """
    Counted from now on: nothing is made up for that the old plan did not know.
    """
    version(queue, "a", "b").start()
    queue.clock.advance(330)
    newer = Clockwork(queue)
    newer.define("a", every=MINUTE)
    newer.define("b", every=10 * MINUTE)

    done = newer.start()

    assert ([], ["b"], [], []) == done
    assert NOON + 10 * MINUTE == newer.stored("b").next_tick
    assert NOON + MINUTE == newer.stored("a").next_tick


def test_a_change_of_the_payload_alone_moves_no_tick(queue: Queue) -> None:
    """
    What was due stays due.
    """
    version(queue, "a").start()
    queue.clock.advance(75)
    newer = Clockwork(queue)
    newer.define("a", every=MINUTE, payload={"new": True})

    assert (["a"], ["12:01:00"]) == (newer.start().changed, newer.fire_all())
    assert {"new": True} == newer.tasks()[0].payload


def test_what_is_gone_is_retired_and_its_history_stays(queue: Queue) -> None:
    """
    It ticks no more, and comes back when the code does.
    """
    version(queue, "a", "b").start()
    queue.clock.advance(60)
    version(queue, "a", "b").fire_all()

    done = version(queue, "a").start()
    queue.clock.advance(60)
    ticked = version(queue, "a").fire().keys

    assert ([], [], ["b"], []) == done
    assert ["a"] == ticked
    assert ["a ticking", "b retired"] == found(version(queue))
    assert ["12:01:00 fired"] == version(queue).states("b")
    assert ["b"] == version(queue, "a", "b").start().changed
    assert ["a ticking", "b ticking"] == found(version(queue))


def test_what_was_changed_by_hand_is_repaired_and_counted(queue: Queue) -> None:
    """
    At a start, and from time to time while a worker runs.
    """
    clockwork = version(queue, "a", "b")
    clockwork.start()
    clockwork.change_by_hand("a", every=7.0)
    clockwork.change_by_hand("b", enabled=False)

    repaired = clockwork.repair()
    clockwork.change_by_hand("b", timezone="Europe/Berlin")
    done = clockwork.start()

    assert ["a", "b"] == repaired
    assert ([], [], [], ["b"]) == done
    assert (60.0, "UTC") == (clockwork.stored("a").plan.every, clockwork.stored("b").plan.timezone)
    assert [1, 2] == [clockwork.stored(key).repairs for key in ("a", "b")]
    assert "changed by hand and repaired, 2 time(s)" in clockwork.report("b").warnings


def test_what_cannot_be_read_rests_until_it_is_repaired(queue: Queue) -> None:
    """
    And the others tick on; whoever lists them is told.
    """
    clockwork = version(queue, "a", "b")
    clockwork.start()
    clockwork.change_by_hand("a", every=None, cron="at noon")
    queue.clock.advance(60)

    fired = clockwork.fire()
    warnings = clockwork.report("a").warnings
    repaired = clockwork.repair()
    queue.clock.advance(60)

    assert (1, ["b"], 60.0) == (fired.number, fired.keys, fired.wait)
    assert "cannot be read: cron" in warnings[0]
    assert ["a"] == repaired
    assert 2 == clockwork.fire().number


def test_an_older_worker_does_not_undo_what_a_newer_one_did(queue: Queue) -> None:
    """
    While a deployment rolls: neither what was changed, nor what was retired, nor what is new.
    """
    older = version(queue, "a", "b", "c")
    older.start()
    newer = version(queue, "c", "d")
    newer.define("a", every=5 * MINUTE)
    newer.start()
    for key in ("b", "c"):
        newer.change_by_hand(key, every=7.0)

    repaired = older.repair()

    assert ["c"] == repaired  # which is the same in both
    assert ["a ticking", "b retired", "c ticking", "d ticking"] == found(newer)
    assert 300.0 == newer.stored("a").plan.every


def test_the_older_code_may_come_back(queue: Queue) -> None:
    """
    A rollback is a start like any other.
    """
    older, newer = version(queue, "a"), version(queue, "a", every=5 * MINUTE)
    older.start()
    newer.start()

    assert ["a"] == older.start().changed
    assert 60.0 == older.stored("a").plan.every


def test_schedules_made_at_run_time_live_beside(queue: Queue) -> None:
    """
    Not touched, not retired; a key that both use belongs to the code.
    """
    clockwork = version(queue, "a")
    clockwork.create("customer 7", every=MINUTE)
    clockwork.create("a", every=5 * MINUTE)

    done = clockwork.start()

    assert ([], ["a"], [], []) == done
    assert [("a", "code"), ("customer 7", "runtime")] == [(one.key, one.source) for one in clockwork.reports()]


def test_two_applications_share_a_queue(queue: Queue) -> None:
    """
    Neither retires what is the other's, and both may use the same key.
    """
    shop, office = version(queue, "a", "b", application="shop"), version(queue, "a", "c", application="office")

    done = [shop.start(), office.start(), shop.start()]

    assert [["a", "b"], ["a", "c"], []] == [one.added for one in done]
    assert [[], [], []] == [one.retired for one in done]
    assert [["a ticking", "b ticking"], ["a ticking", "c ticking"]] == [found(shop), found(office)]


def test_a_pause_survives_restarts_and_deployments(queue: Queue) -> None:
    """
    It is the operator's, as ``enabled`` is the code's.
    """
    version(queue, "a").start()
    version(queue).pause("a")
    version(queue, "a").start()
    version(queue, "a", every=5 * MINUTE).start()
    paused = found(version(queue))
    queue.clock.advance(3600)
    fired = version(queue, "a").fire()

    version(queue, "a").resume("a")

    assert (["a paused"], []) == (paused, fired.keys)
    assert ["a ticking"] == found(version(queue))
    assert NOON + timedelta(minutes=65) == version(queue).stored("a").next_tick


def test_settings_override_the_code(queue: Queue) -> None:
    """
    The rest of the plan stays as it is; taken away, they are gone with the next start.
    """
    version(queue, "a", "b").start()
    overrides: dict[str, dict[str, Any]] = {
        "a": {"enabled": False},
        "b": {"cron": "@daily", "timezone": "Asia/Tokyo", "misfire": {"most": 3}, "jitter": "5m"},
        "c": {"enabled": False},
    }
    clockwork = version(queue, "a", "b", overrides=overrides)

    done = clockwork.start()

    assert ["a", "b"] == done.changed
    assert ["a disabled", "b ticking"] == found(clockwork)
    assert "0 0 * * * (Asia/Tokyo)" == clockwork.report("b").plan
    assert (["c"], 300.0) == (clockwork.definitions.unknown(), clockwork.stored("b").plan.jitter)
    assert ["a", "b"] == version(queue, "a", "b").start().changed


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"cron": "0 0 30 2 *"}, "WORKER_SCHEDULES: schedule 'a': cron: must"),
        ({"cron": "no"}, "WORKER_SCHEDULES: schedule 'a': cron: must have five"),
        ({"timezone": "Mars"}, "WORKER_SCHEDULES: schedule 'a': timezone: must be a time zone"),
        ({"crom": "* * * * *"}, "WORKER_SCHEDULES: schedule 'a': crom: must be one of"),
        ({"enabled": "no"}, "WORKER_SCHEDULES: schedule 'a': enabled: must be true or false"),
        ({"every": "often"}, "WORKER_SCHEDULES: schedule 'a': every: must be seconds or a duration"),
        ({"misfire": {"within": "long"}}, "WORKER_SCHEDULES: schedule 'a': misfire.within: must be seconds or a dur"),
        ({"misfire": {"within": "0s"}}, "WORKER_SCHEDULES: schedule 'a': misfire.within: must be more than 0"),
        ({"at": "soon"}, "WORKER_SCHEDULES: schedule 'a': at: must be like"),
    ],
)
def test_a_wrong_override_names_variable_and_key(queue: Queue, override: dict[str, Any], said: str) -> None:
    """
    And nothing is changed.
    """
    clockwork = version(queue, "a", overrides={"a": override})

    with pytest.raises(InvalidOverride, match=said.replace("(", r"\(")):
        clockwork.definitions.check()
    with pytest.raises(InvalidSchedule):
        clockwork.start()

    assert [] == clockwork.reports()


def test_two_that_start_at_once_do_it_once(queue: Queue) -> None:
    """
    One waits for the other, and finds everything done.
    """
    done = in_parallel(4, lambda number: version(Queue(queue.uow, queue.clock, queue.publisher), "a", "b").start())

    assert [["a", "b"], [], [], []] == sorted((one.added for one in done), reverse=True)
    assert [[]] * 4 == [one.changed + one.retired + one.repaired for one in done]
