"""Schedules in PostgreSQL: what an adapter in memory cannot show."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine, text

from app.domain.schedules.schedule import Schedule
from app.infra.postgres.herald import Herald
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from tests.contract.clockwork import MINUTE, Clockwork
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import ManualClock, Recorder

FOLD = datetime(2026, 11, 1, 4, 50, tzinfo=UTC)
"""Ten minutes before New York's wall shows an hour for the first of two times."""


heralds: list[Herald] = []


def end_heralds() -> None:
    """Before an engine is let go: a herald that is still at it would leave a connection open."""
    while heralds:
        heralds.pop().flush()


@pytest.fixture(autouse=True)
def _ended(engine: Engine) -> Iterator[None]:
    yield
    end_heralds()


def clockwork_on(engine: Engine, clock: ManualClock | None = None) -> Clockwork:
    clock, publisher = clock or ManualClock(), Recorder()
    herald = Herald(lambda: engine, lambda: None)
    heralds.append(herald)
    return Clockwork(Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock, herald=herald), clock, publisher))


@pytest.fixture
def in_new_york(database_url: str) -> Iterator[Engine]:
    """An engine whose sessions show moments as New York's walls do."""
    engine = create_engine(database_url, connect_args={"options": "-c TimeZone=America/New_York"})
    yield engine
    end_heralds()
    engine.dispose()


def test_the_time_zone_of_a_session_does_not_matter(in_new_york: Engine) -> None:
    """Where its wall shows an hour twice, Python neither adds nor compares as one might think."""
    clockwork = clockwork_on(in_new_york, ManualClock(FOLD))
    clockwork.create("interval", every=10 * MINUTE, misfire="all")
    clockwork.create("cron", cron="*/30 * * * *", timezone="America/New_York", dst="both", overlap="queue")
    for _ in range(18):
        clockwork.advance(600)
        clockwork.fire()
        clockwork.end()
    clockwork.fire()

    history = [run.tick for run in clockwork.history("interval")]
    assert [FOLD + 10 * number * MINUTE for number in range(1, 19)] == history
    halves = [f"{run.tick:%H:%M} {run.state}" for run in clockwork.history("cron")]
    assert [f"{hour:02}:{minute} fired" for hour in (5, 6, 7) for minute in ("00", "30")][:6] == halves[:6]
    assert {0.0} == {run.lateness for run in clockwork.history("interval")}
    assert 18 + 6 == clockwork.queue.stats().total


def test_many_that_look_at_once_fire_each_tick_once(engine: Engine) -> None:
    """Eight threads, twenty schedules that tick every second, two hundred ticks."""
    clock = ManualClock()
    clockwork = clockwork_on(engine, clock)
    for number in range(20):
        clockwork.create(f"s{number}", every=timedelta(seconds=1), misfire="all")

    def look(number: int) -> int:
        mine = clockwork_on(engine, clock)
        fired = 0
        for _ in range(10):
            clock.advance(0.125)
            fired += mine.fire().number
        return fired

    fired = sum(in_parallel(8, look))
    while (last := clockwork.fire()).wait == 0:
        fired += last.number
    fired += last.number

    assert 20 * 10 == fired == clockwork.queue.stats().total
    assert [10] * 20 == [len(clockwork.history(f"s{number}")) for number in range(20)]


def test_what_another_worker_is_at_is_left_to_it(engine: Engine) -> None:
    """Nobody waits for a lock, and what comes next is not held up."""
    clockwork = clockwork_on(engine)
    for key in ("a", "b"):
        clockwork.create(key, every=MINUTE)
    clockwork.advance(60)

    with engine.begin() as other:
        other.execute(text("SELECT 1 FROM worker.schedules WHERE key = 'a' FOR UPDATE"))
        fired = clockwork.fire()

    assert (["b"], 1, 0.0) == (fired.keys, fired.number, fired.wait)
    assert ["a"] == clockwork.fire().keys


def test_who_fires_with_an_old_look_at_a_schedule_fires_nothing_twice(engine: Engine) -> None:
    """The row of the tick decides, whatever the schedule itself says: as after a restore of one table."""
    clockwork = clockwork_on(engine)
    clockwork.create(every=MINUTE)
    clockwork.advance(60)
    clockwork.fire()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE worker.schedules SET look_at = through, through = through - interval '1 minute'")
        )

    fired = clockwork.fire()

    assert (["report"], 0) == (fired.keys, fired.number)
    assert 1 == clockwork.queue.stats().total


def test_a_deployment_reconciles_while_ticks_are_fired(engine: Engine) -> None:
    """Starts of two versions and looks of both, at once: no tick twice, no error, and the last start has its way."""
    stop = threading.Event()
    clock = ManualClock()

    def version(every: timedelta) -> Clockwork:
        clockwork = clockwork_on(engine, clock)
        clockwork.define(every=every)
        return clockwork

    version(MINUTE).start()

    def live(number: int) -> int:
        mine = version((1 + number % 2) * MINUTE)
        fired = 0
        for _ in range(15):
            if number < 2:
                mine.start()
            mine.repair()
            clock.advance(20)
            fired += mine.fire().number
        return fired

    fired = sum(in_parallel(4, live))
    stop.set()
    last = version(2 * MINUTE)
    last.start()
    stored: Schedule = last.stored()

    assert 120.0 == stored.plan.every
    ticks = [run.tick for run in last.history() if run.task_id]
    assert len(set(ticks)) == len(ticks) == fired == last.queue.stats().total
    assert 0 == stored.repairs


@pytest.mark.parametrize("query", ["due", "look"])
def test_a_look_finds_what_is_due_by_an_index(engine: Engine, query: str) -> None:
    """However many schedules there are: thousands of customers may have one each."""
    clockwork = clockwork_on(engine)
    clockwork.create(every=MINUTE)
    with engine.begin() as connection:
        columns = [row[0] for row in connection.execute(
            text("SELECT column_name FROM information_schema.columns WHERE table_schema = 'worker'"
                 " AND table_name = 'schedules' ORDER BY ordinal_position")
        )]  # fmt: skip
        copied = ", ".join("'s' || n" if name == "key" else f's."{name}"' for name in columns)
        connection.execute(
            text(f"INSERT INTO worker.schedules SELECT {copied} FROM worker.schedules s, generate_series(1, 5000) n")
        )
        connection.execute(text("ANALYZE worker.schedules"))
        conditions = {"due": "look_at <= now()", "look": "look_at <= now() + interval '1 minute'"}
        plan = "\n".join(
            row[0]
            for row in connection.execute(
                text(
                    "EXPLAIN SELECT key FROM worker.schedules WHERE application = 'default' AND look_at IS NOT NULL"
                    f" AND {conditions[query]} ORDER BY look_at LIMIT 10"
                )
            )
        )

    assert "schedules_look" in plan


@pytest.fixture
def impatient(database_url: str) -> Iterator[Engine]:
    """An engine on which whoever waits for a lock gives up, so that a test of not waiting ends."""
    engine = create_engine(database_url, connect_args={"options": "-c lock_timeout=1s"})
    yield engine
    end_heralds()
    engine.dispose()


def test_a_run_before_that_somebody_has_locked_holds_up_its_own_schedule_alone(
    engine: Engine, impatient: Engine
) -> None:
    """The others fire, and this one is looked at again in a second, until it is free."""
    clockwork = clockwork_on(impatient)
    clockwork.create("a", every=MINUTE, overlap="cancel_previous")
    clockwork.create("b", every=MINUTE, overlap="cancel_previous")
    clockwork.create("c", every=MINUTE)
    clockwork.advance(60)
    clockwork.fire()

    with engine.begin() as other:
        other.execute(text("SELECT 1 FROM worker.tasks WHERE origin->>'schedule' = 'a' FOR UPDATE"))
        clockwork.advance(60)
        held_up = clockwork.fire()
        clockwork.advance(1)
        again = clockwork.fire()
        waiting = {key: clockwork.states(key) for key in "abc"}
    clockwork.advance(1)
    fired = clockwork.fire()

    assert (2, ["a", "b", "c"], 1.0) == (held_up.number, sorted(held_up.keys), held_up.wait)
    assert (0, ["a"], 1.0) == (again.number, again.keys, again.wait)
    both = ["12:01:00 fired", "12:02:00 fired"]
    assert {"a": ["12:01:00 fired"], "b": both, "c": both} == waiting
    assert (1, both) == (fired.number, clockwork.states("a"))
    assert ["cancelled", "pending"] == [task.status for task in clockwork.tasks() if task.origin["schedule"] == "a"]


def test_cancelling_waits_for_nobody_who_settles_in_another_order(engine: Engine, impatient: Engine) -> None:
    """Whoever settles has the one task and wants the other: there is no deadlock, as nothing here is waited for."""
    clockwork = clockwork_on(impatient)
    clockwork.create(every=MINUTE, overlap="cancel_previous")
    clockwork.queue.register(lease=1e9)
    ids = []
    for _ in range(2):
        clockwork.advance(60)
        clockwork.fire()
        ids.append(clockwork.queue.claim_one().id)

    with engine.begin() as other:
        lock = text("SELECT id FROM worker.tasks WHERE id = :id FOR UPDATE NOWAIT")
        other.execute(lock, {"id": min(ids)})
        clockwork.advance(60)
        number = clockwork.fire().number
        other.execute(lock, {"id": max(ids)})
    clockwork.advance(1)

    assert [0, 1] == [number, clockwork.fire().number]
