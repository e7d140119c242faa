"""Retention in PostgreSQL: walking along a large day costs each page once, and is done in bounded steps."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from app.domain.jobs.job import Job
from app.domain.jobs.keep import Keep
from app.domain.retention import surpluses
from app.infra.postgres import retention
from app.infra.postgres.retention import PostgresRetention
from app.infra.postgres.statements import Statements
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.worker.retention import STEPS, RetentionRounds
from tests.contract.subject import Queue
from tests.examples import NOON, ManualClock, Recorder
from tests.infra.postgres.plans import plans_of

PIECE = 5
"""Pages of a step in here."""

FILL = text(
    "INSERT INTO worker.finished (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload,"
    " finished_at) SELECT gen_random_uuid(), CASE WHEN n % :every = 0 THEN 'rare' ELSE 'common' END, 'default',"
    " 'completed', 0, 3, :first, :first, '{}', :first + n * interval '1 ms' FROM generate_series(1, :number) n"
)
COUNT = text(
    "INSERT INTO worker.tallies (day, type, queue, status, number)"
    " SELECT CAST(finished_at AT TIME ZONE 'UTC' AS date), type, queue, status, count(*) FROM worker.finished"
    " GROUP BY 1, 2, 3, 4"
)
ONES = text("SELECT type, count(*), min(finished_at) FROM worker.finished GROUP BY 1")
COUNTED = text("SELECT type, sum(number) FROM worker.tallies GROUP BY 1")


@pytest.fixture
def queue(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue at noon, on a day on which 20,000 tasks have ended, every hundredth of them a rare one."""
    monkeypatch.setattr(retention, "PIECE", PIECE)
    clock, publisher = ManualClock(), Recorder()
    queue = Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock), clock, publisher)
    queue.keep_up()
    with engine.begin() as connection:
        connection.execute(FILL, {"first": NOON - timedelta(minutes=1), "number": 20_000, "every": 100})
        connection.execute(COUNT)
    return queue


@pytest.fixture
def steps(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """The pages that each step looked at, from and to."""
    taken: list[tuple[str, str]] = []

    def note(*what: Any) -> None:
        _, _, statement, parameters, *_ = what
        if "ctid" in statement:
            taken.append((parameters["from_page"], parameters["to_page"]))

    event.listen(engine, "before_cursor_execute", note)
    yield taken
    event.remove(engine, "before_cursor_execute", note)


def rare(keep: Keep) -> Job[Any, Any]:
    return Job("rare", lambda payload, context: None, keep=keep)


def there(engine: Engine) -> tuple[dict[str, int], dict[str, int]]:
    """How many there are of each type, and how many are counted."""
    with engine.connect() as connection:
        ones = {row[0]: int(row[1]) for row in connection.execute(ONES)}
        return ones, {row[0]: int(row[1]) for row in connection.execute(COUNTED)}


def test_a_walk_goes_on_where_the_last_round_ended(queue: Queue, engine: Engine, steps: list[tuple[str, str]]) -> None:
    """
    In steps of a few pages, each looked at once; with a few more ended, the next round needs a step or two.
    """
    rounds = RetentionRounds(queue.uow, [rare(Keep(count=10))])

    removed = rounds.round()
    walked = list(steps)
    steps.clear()
    again = rounds.round()
    with engine.begin() as connection:
        first = NOON + timedelta(minutes=1)
        connection.execute(FILL, {"first": first, "number": 300, "every": 100})
        connection.execute(text("DELETE FROM worker.tallies"))
        connection.execute(COUNT)
    later = rounds.round()

    ones, counted = there(engine)
    assert (190, 0, 3) == (removed, again, later)
    assert ({"common": 20_097, "rare": 10}, ones) == (ones, counted)
    assert len(set(walked)) == len(walked) <= STEPS
    assert 20 < len(walked)
    assert len(steps) <= 2


def test_a_round_has_an_end(queue: Queue, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    So many steps, and the rest in the next rounds; of two jobs each gets its turns.
    """
    monkeypatch.setattr(retention, "PIECE", 1)
    common: Job[Any, Any] = Job("common", lambda payload, context: None, keep=Keep(age=0))
    rounds = RetentionRounds(queue.uow, [rare(Keep(count=0)), common])

    removed = [rounds.round()]
    first = there(engine)
    while left := rounds.round():
        removed.append(left)

    assert len(removed) > 2
    assert 0 < first[0]["rare"] < 200
    assert 0 < first[0]["common"] < 19_800
    assert (20_000, {}) == (sum(removed), there(engine)[0])
    assert {0} >= set(there(engine)[1].values())


def test_nothing_but_the_pages_of_a_step_is_read(queue: Queue, engine: Engine) -> None:
    """
    Neither the rest of the day nor the other days, and rows are removed by their ids.
    """
    with engine.begin() as connection:
        connection.execute(text("ANALYZE worker.finished"))
    with engine.connect() as connection, connection.begin():
        walking = PostgresRetention(Statements(connection, "worker", NOON))
        days = walking.ended_by_day(["rare"])["rare"]
        [surplus] = surpluses("rare", Keep(count=0), days, NOON)
        plans = plans_of(connection, lambda: walking.remove(surplus, 20))

    [plan] = [plan for plan in plans if any(node["Node Type"] == "Tid Range Scan" for node in plan.nodes)]
    assert [] == plan.read_through
    assert plan.buffers < 200


def test_of_several_workers_one_removes(queue: Queue, engine: Engine) -> None:
    """
    The others find nothing to do until it has committed: a surplus that two have counted would go twice.
    """
    with engine.connect() as one, engine.connect() as other:
        first = PostgresRetention(Statements(one, "worker", NOON)).ended_by_day(["rare"])
        meanwhile = PostgresRetention(Statements(other, "worker", NOON)).ended_by_day(["rare"])
        one.commit()
        after = PostgresRetention(Statements(other, "worker", NOON)).ended_by_day(["rare"])

    days = {"rare": [(NOON.date(), 200)]}
    assert [days, {}, days] == [first, meanwhile, after]
