"""Changes of a plan: which of them move ticks, and what becomes of those that were due before."""

from typing import Any

import pytest

from tests.contract.clockwork import MINUTE, Clockwork
from tests.contract.subject import Queue
from tests.examples import NOON


def planned(queue: Queue, **plan: Any) -> Clockwork:
    """A version of the code that defines one schedule, each minute unless its plan says otherwise."""
    clockwork = Clockwork(queue)
    clockwork.define("a", **{"every": MINUTE} | plan)
    return clockwork


@pytest.mark.parametrize("change", [{"jitter": 5}, {"misfire": "all"}, {"overlap": "skip"}])
def test_a_change_that_is_none_of_the_timetable_moves_no_tick(queue: Queue, change: dict[str, Any]) -> None:
    """
    What was missed before a deployment is made up for by its rule for that.
    """
    planned(queue).start()
    queue.clock.advance(200)
    newer = planned(queue, **change)

    changed, fired = newer.start().changed, newer.fire_all()

    assert ["a"] == changed
    assert (["12:01:00", "12:02:00", "12:03:00"] if "misfire" in change else ["12:03:00"]) == fired


@pytest.mark.parametrize("change", [{"every": 5 * MINUTE}, {"anchor": NOON + MINUTE / 2}, {"enabled": False}])
def test_ticks_that_a_new_timetable_passes_over_are_noted_as_missed(queue: Queue, change: dict[str, Any]) -> None:
    """
    The first of them stands for all; whoever puts a schedule out of service is told the same.
    """
    planned(queue, misfire="all").start()
    queue.clock.advance(200)
    newer = planned(queue, **{"misfire": "all"} | change)
    newer.start()

    fired = newer.fire_all()
    [run] = newer.history("a")

    assert [] == fired
    assert (NOON + MINUTE, "missed", None) == (run.tick, run.state, run.task_id)
    assert run.reason is not None
    assert run.reason.startswith(
        "its plan was changed before anybody fired it, or others after it until 2026-03-01 12:03"
    )
