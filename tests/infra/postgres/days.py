"""Days that retention clears: making them, looking at what is left of them, and steps that are not committed yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from app.domain.clearing import Clearance, Way, clearances
from app.domain.retention_rules import RetentionRules
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.clearing import PostgresClearing
from app.infra.postgres.statements import Statements
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.worker.clearing import ClearingRounds, Round
from tests.contract.subject import Queue
from tests.examples import ManualClock, Recorder, a_failure, new_task

DAY = 86_400.0
NO_LETTER = Failed(a_failure(), Death(DeathReason.EXHAUSTED, is_letter=False))
RULES = RetentionRules.of("completed=1d, failed=30d")


def queue_of(engine: Engine, clock: ManualClock | None = None) -> Queue:
    clock, publisher = clock or ManualClock(), Recorder()
    return Queue(PostgresUnitOfWork(engine, None, publisher, clock=clock), clock, publisher)


def a_day(queue: Queue, completed: int = 8, failed: int = 2) -> list[WorkerTask]:
    queue.enqueue_many([new_task() for _ in range(completed + failed)])
    claimed = queue.claim(limit=completed + failed)
    for index, task in enumerate(claimed):
        queue.complete(task) if index < completed else queue.settle(task, NO_LETTER)
    return claimed


def old_day(queue: Queue, completed: int = 8, failed: int = 2) -> list[WorkerTask]:
    """A day whose completed tasks are to go, and whose failed ones stay."""
    tasks = a_day(queue, completed, failed)
    queue.clock.advance(3 * DAY)
    return tasks


def round_of(queue: Queue, rules: RetentionRules = RULES) -> Round:
    return ClearingRounds(queue.uow, rules).round()


def where(engine: Engine) -> dict[str, int]:
    """How many rows lie in which partition."""
    sql = "SELECT tableoid::regclass::text, count(*) FROM worker.finished GROUP BY 1"
    with engine.connect() as connection:
        return {name.removeprefix("worker."): number for name, number in connection.execute(text(sql))}


def partitions(engine: Engine) -> list[str]:
    sql = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'worker.finished_days'::regclass ORDER BY 1"
    )
    with engine.connect() as connection:
        return [name.removeprefix("worker.") for (name,) in connection.execute(text(sql))]


def check_counts(engine: Engine) -> None:
    """Of each day, shelf and kind as many are counted as are there."""
    there = (
        "SELECT (finished_at AT TIME ZONE 'UTC')::date, shelf, status, type, queue, count(*) FROM worker.finished"
        " GROUP BY 1, 2, 3, 4, 5"
    )
    counted = (
        "SELECT day, shelf, status, type, queue, sum(number)::bigint FROM worker.tallies"
        " GROUP BY 1, 2, 3, 4, 5 HAVING sum(number) <> 0"
    )
    with engine.connect() as connection:
        assert set(connection.execute(text(there)).all()) == set(connection.execute(text(counted)).all())


@contextmanager
def one_step(engine: Engine, queue: Queue, way: Way, rules: RetentionRules = RULES) -> Iterator[Connection]:
    """A step of clearing that has been done and is not committed before this ends."""
    with engine.begin() as connection:
        now = queue.clock.now()
        clearing = PostgresClearing(Statements(connection, "worker", now))
        assert clearing.try_lock()
        clearance = next(iter(clearances(clearing.held(now.date()), rules, now)))
        done = clearing.clear(clearance, 0, 1.0)
        assert (way, True) == (clearance.way, bool(done.removed or done.moved))
        yield connection


def waits_for_a_lock(connection: Connection) -> bool:
    return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def planned(engine: Engine, queue: Queue, rules: RetentionRules = RULES) -> Clearance:
    with engine.begin() as connection:
        now = queue.clock.now()
        held = PostgresClearing(Statements(connection, "worker", now)).held(now.date())
    [clearance] = clearances(held, rules, now)
    return clearance


def clear(engine: Engine, queue: Queue, clearance: Clearance, *, patience: float = 0.2) -> Any:
    with engine.begin() as connection:
        return PostgresClearing(Statements(connection, "worker", queue.clock.now())).clear(clearance, 0, patience)
