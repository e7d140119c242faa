"""Overlap: what becomes of a tick while the run before it has not ended."""

import pytest

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.unique import Unique
from app.domain.tasks.status import TaskStatus
from tests.contract.clockwork import MINUTE, Clockwork, handler
from tests.contract.subject import Queue
from tests.examples import REPORT


@pytest.fixture
def clockwork(queue: Queue) -> Clockwork:
    return Clockwork(queue)


def tick(clockwork: Clockwork, times: int = 1) -> None:
    for _ in range(times):
        clockwork.advance(60)
        clockwork.fire()


def test_runs_may_overlap_where_that_is_allowed(clockwork: Clockwork) -> None:
    """
    Which they are unless somebody says otherwise.
    """
    clockwork.create(every=MINUTE)

    tick(clockwork, 3)

    assert ["12:01:00", "12:02:00", "12:03:00"] == clockwork.ticks()


def test_a_tick_is_skipped_while_the_run_before_it_goes_on(clockwork: Clockwork) -> None:
    """
    Waiting for a worker, running, or between two attempts; not once it has ended, in whatever way.
    """
    clockwork.create(every=MINUTE, overlap="skip")
    tick(clockwork, 2)
    clockwork.queue.register(lease=1e9)
    claimed = clockwork.queue.claim_one()
    tick(clockwork)
    clockwork.queue.fail_and_retry(claimed)
    tick(clockwork)
    clockwork.queue.fail(clockwork.queue.claim_one())
    tick(clockwork, 2)

    assert ["12:01:00", "12:05:00"] == clockwork.ticks()
    states = ["fired", "skipped", "skipped", "skipped", "fired", "skipped"]
    assert states == [run.state for run in clockwork.history()]
    assert "the run before it had not ended" == clockwork.history()[1].reason


def test_of_several_ticks_that_are_due_at_once_one_is_run_where_none_may_overlap(clockwork: Clockwork) -> None:
    """
    The others came while it had not ended.
    """
    clockwork.create(every=MINUTE, overlap="skip", misfire="all")
    clockwork.advance(180)

    clockwork.fire_all()

    assert ["12:01:00 fired", "12:02:00 skipped", "12:03:00 skipped"] == clockwork.states()


def test_ticks_wait_in_their_order_for_the_run_before_them(clockwork: Clockwork) -> None:
    """
    Each is fired when the one before it has ended; somebody looks every second while any waits.
    """
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 3)
    states = [clockwork.states()]
    look = clockwork.look_in()
    for _ in range(3):
        clockwork.end()
        clockwork.advance(1)
        clockwork.fire()
        states.append(clockwork.states())

    assert 1.0 == look
    assert ["12:01:00 fired", "12:02:00 waiting", "12:03:00 waiting"] == states[0]
    assert ["12:01:00 fired", "12:02:00 fired", "12:03:00 waiting"] == states[1]
    assert ["12:01:00 fired", "12:02:00 fired", "12:03:00 fired"] == states[2] == states[3]
    assert 57.0 == clockwork.look_in()


def test_a_tick_that_comes_while_others_wait_stands_behind_them(clockwork: Clockwork) -> None:
    """
    Also when the run before them ends in the same moment.
    """
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 2)
    clockwork.end()
    tick(clockwork)

    assert ["12:01:00 fired", "12:02:00 fired", "12:03:00 waiting"] == clockwork.states()


def test_a_paused_schedule_keeps_what_waits(clockwork: Clockwork) -> None:
    """
    It goes on when the schedule is resumed.
    """
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 2)
    clockwork.pause()
    clockwork.end()
    tick(clockwork, 2)
    paused = clockwork.states()
    clockwork.resume()
    tick(clockwork)

    assert ["12:01:00 fired", "12:02:00 waiting"] == paused
    assert ["12:01:00 fired", "12:02:00 fired", "12:05:00 waiting"] == clockwork.states()


def test_the_run_before_is_cancelled(clockwork: Clockwork) -> None:
    """
    One that waits at once; one that runs is told to end, and the next does not wait for it.
    """
    clockwork.create(every=MINUTE, overlap="cancel_previous")
    tick(clockwork, 2)
    clockwork.queue.register(lease=1e9)
    running = clockwork.queue.claim_one()
    tick(clockwork)

    first, second, third = clockwork.tasks()
    assert TaskStatus.CANCELLED is first.status
    assert (running.id, True) == (second.id, second.cancel_requested_at is not None)
    assert TaskStatus.PENDING is third.status
    assert ["fired"] * 3 == [run.state for run in clockwork.history()]


def test_of_several_that_would_cancel_each_other_the_last_is_run(clockwork: Clockwork) -> None:
    """
    The others would only have been cancelled.
    """
    clockwork.create(every=MINUTE, overlap="cancel_previous", misfire="all")
    clockwork.advance(180)

    clockwork.fire_all()

    assert ["12:01:00 skipped", "12:02:00 skipped", "12:03:00 fired"] == clockwork.states()


def test_a_run_by_hand_counts_and_a_backfill_does_not(clockwork: Clockwork) -> None:
    """
    An operator's run is one that the next tick must not overlap; what is made up for goes beside.
    """
    clockwork.create(every=MINUTE, overlap="skip")
    clockwork.backfill(clockwork.queue.clock.now() - 5 * MINUTE, clockwork.queue.clock.now())
    tick(clockwork)
    clockwork.end()
    clockwork.advance(30)
    clockwork.run_now()
    clockwork.advance(30)
    clockwork.fire()

    assert ["12:01:00 fired", "12:01:30 fired", "12:02:00 skipped"] == clockwork.states()[5:]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_a_run_that_expired_before_it_was_started_is_over(clockwork: Clockwork, overlap: str) -> None:
    """
    Also before somebody has noted that; one that was started in time goes on, whatever the time.
    """
    clockwork.queue.jobs = clockwork.jobs = expiring()
    clockwork.create(every=MINUTE, overlap=overlap)
    tick(clockwork, 2)
    clockwork.queue.register(lease=1e9)
    claimed = clockwork.queue.claim_one()
    tick(clockwork)
    clockwork.queue.fail_and_retry(claimed)
    tick(clockwork)

    held = {"skip": "skipped", "queue": "waiting"}[overlap]
    assert ["12:01:00 fired", "12:02:00 fired", f"12:03:00 {held}", f"12:04:00 {held}"] == clockwork.states()


def expiring() -> JobCatalog:
    jobs = JobCatalog()
    jobs.define(REPORT, ttl=30)(handler)
    return jobs


@pytest.mark.parametrize(("overlap", "held"), [("skip", "skipped"), ("queue", "waiting")])
def test_a_run_that_is_to_be_cancelled_goes_on_until_its_attempt_has_ended(
    clockwork: Clockwork, overlap: str, held: str
) -> None:
    """
    It still runs, and what must not overlap it must not begin.
    """
    clockwork.create(every=MINUTE, overlap=overlap)
    tick(clockwork)
    clockwork.queue.register(lease=1e9)
    claimed = clockwork.queue.claim_one()
    clockwork.queue.cancel(claimed)
    tick(clockwork)
    before = clockwork.states()
    clockwork.queue.complete(claimed)
    tick(clockwork)

    assert ["12:01:00 fired", f"12:02:00 {held}"] == before
    assert TaskStatus.CANCELLED is clockwork.queue.find(claimed).status
    assert 1 == len([task for task in clockwork.tasks() if task.status is TaskStatus.PENDING])


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("allow", ["fired", "fired", "fired", "fired"]),
        ("skip", ["fired", "skipped", "skipped", "waiting"]),
        ("cancel_previous", ["fired", "skipped", "skipped", "fired"]),
    ],
)
def test_ticks_that_wait_are_not_forgotten_when_the_rule_changes(
    clockwork: Clockwork, overlap: str, states: list[str]
) -> None:
    """
    Within a second of the change, of which the code of the next version tells.
    """
    clockwork.define(every=MINUTE, overlap="queue")
    clockwork.start()
    tick(clockwork, 4)
    newer = Clockwork(clockwork.queue)
    newer.define(every=MINUTE, overlap=overlap)
    newer.start()
    look = newer.look_in()
    newer.advance(1)
    newer.fire()
    changed = [run.state for run in newer.history()]
    reasons = {run.reason for run in newer.history() if run.state == "skipped"}
    newer.end()
    newer.advance(1)
    newer.fire()

    assert (1.0, states) == (look, changed)
    assert ({"overtaken by a later tick, as ticks do not queue any more"} if overlap != "allow" else set()) == reasons
    assert [state.replace("waiting", "fired") for state in states] == [run.state for run in newer.history()]


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("allow", ["fired", "fired", "fired", "fired"]),
        ("skip", ["fired", "skipped", "waiting", "skipped"]),
        ("cancel_previous", ["fired", "skipped", "skipped", "fired"]),
    ],
)
def test_a_tick_that_comes_after_the_rule_has_changed_is_later_than_those_that_wait(
    clockwork: Clockwork, overlap: str, states: list[str]
) -> None:
    """
    None of them is run after it.
    """
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 3)
    clockwork.change_by_hand(overlap=overlap)
    tick(clockwork)

    assert states == [run.state for run in clockwork.history()]


def test_ticks_of_a_unique_job_that_wait_are_let_go_one_by_one(queue: Queue) -> None:
    """
    So that where one of them is refused, only that one is.
    """
    jobs = JobCatalog()
    jobs.define(REPORT, unique=Unique(on_conflict="raise"))(handler)
    clockwork = Clockwork(queue, jobs)
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 3)
    clockwork.change_by_hand(overlap="allow")
    clockwork.end()
    tick(clockwork)
    one = clockwork.states()
    clockwork.end()
    clockwork.advance(1)
    clockwork.fire()

    assert ["12:01:00 fired", "12:02:00 fired", "12:03:00 waiting", "12:04:00 waiting"] == one
    assert ["12:01:00 fired", "12:02:00 fired", "12:03:00 fired", "12:04:00 waiting"] == clockwork.states()


def test_what_waits_is_looked_at_soon_when_its_schedule_is_resumed(clockwork: Clockwork) -> None:
    """
    Not at its next tick, which may be a year away.
    """
    clockwork.create(every=MINUTE, overlap="queue")
    tick(clockwork, 2)
    clockwork.pause()
    paused = clockwork.look_in()
    clockwork.end()
    clockwork.resume()
    look = clockwork.look_in()
    clockwork.advance(1)
    clockwork.fire()

    assert (None, 1.0) == (paused, look)
    assert ["12:01:00 fired", "12:02:00 fired"] == clockwork.states()
