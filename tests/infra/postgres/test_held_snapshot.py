"""A snapshot held open elsewhere: what is over cannot be cleared away; claims onwards and settling do not meet it."""

import pytest
from sqlalchemy import Engine, text

from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Failed, Outcome, RetryIn
from app.domain.tasks.repository import ClaimRequest, Position, Progress, Settlement
from app.domain.tasks.task import WorkerTask
from app.infra.postgres.statements import Statements
from app.infra.postgres.tasks import PostgresTasks
from tests.examples import EMAIL, a_failure
from tests.infra.postgres.plans import plans_of

BATCH = 1_000
RESULT = JsonText.of(None, field="result")


def position(task: WorkerTask) -> Position:
    return Position(task.queue, task.priority, task.scheduled_at, task.id)


def asked(limit: int, *after: Position) -> ClaimRequest:
    return ClaimRequest(worker_id="w1", types=(EMAIL,), limit=limit, promote=False, after=after)


def worked_off(engine: Engine, batches: int, *after: Position) -> Position:
    """Claim and complete so many *batches*; where the last one ended."""
    for _ in range(batches):
        with engine.begin() as connection:
            tasks = PostgresTasks(Statements(connection, "worker"))
            claimed = tasks.claim(asked(BATCH, *after)).tasks
            tasks.settle([Settlement(task, Completed(RESULT)) for task in claimed])
        after = (position(claimed[-1]),)
    return after[0]


def pages(engine: Engine, *after: Position) -> int:
    """How many pages a claim of one task looks at."""
    with engine.connect() as connection:
        tasks = PostgresTasks(Statements(connection, "worker"))
        [plan] = plans_of(connection, lambda: tasks.claim(asked(1, *after)))
    return plan.buffers


def fill(engine: Engine, first: int, last: int) -> None:
    """E-mails by number, in their order, and the worker that may have them."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO worker.tasks
                    (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload, ready)
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'email\\:send', 'default', 'pending', 0, 3,
                       now() - interval '1 hour' + n * interval '1 ms', now(), '{}', true
                FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
            """),
            {"first": first, "last": last},
        )
        connection.execute(
            text("""
                INSERT INTO worker.workers (id, name, lease, concurrency, types, queues, started_at, last_seen_at)
                VALUES ('w1', 'w1', 60, 5, '{}', '{}', now(), now()) ON CONFLICT DO NOTHING
            """)
        )


def test_claims_onwards_cost_the_same_while_a_snapshot_is_held(engine: Engine) -> None:
    """
    A claim from the front reads more the more was worked off since; one onwards reads what it takes.
    """
    fill(engine, 1, 32 * BATCH)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as holder:
        holder.execute(text("SELECT count(*) FROM worker.tasks"))

        early = worked_off(engine, 10)
        front_early, onwards_early = pages(engine), pages(engine, early)
        late = worked_off(engine, 20, early)
        front_late, onwards_late = pages(engine), pages(engine, late)

    assert onwards_early <= 25
    assert onwards_late <= 25
    assert 5 * 25 < 2 * front_early < front_late


@pytest.mark.parametrize("outcome", [Completed(RESULT), Failed(a_failure()), RetryIn(a_failure(), 5), None])
def test_settling_costs_the_same_while_a_snapshot_is_held(engine: Engine, outcome: Outcome | None) -> None:
    """
    Reporting progress (None), too. Even if statistics are made when nothing is left, and say ever since that the table
    is empty, however large it is.
    """
    few = 500
    fill(engine, 1, 20 * BATCH)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as holder:
        holder.execute(text("SELECT count(*) FROM worker.tasks"))
        last = worked_off(engine, 20)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE worker.tasks"))
        fill(engine, 20 * BATCH + 1, 20 * BATCH + few)

        with engine.connect() as connection:
            tasks = PostgresTasks(Statements(connection, "worker"))
            claimed = tasks.claim(asked(few, last)).tasks
            if outcome is None:
                reports = [Progress(task_id=one.id, lease_seq=one.lease_seq, percent=50, message="") for one in claimed]
                [plan] = plans_of(connection, lambda: tasks.progress(reports))
            else:
                settled = [Settlement(task, outcome) for task in claimed]
                [plan] = plans_of(connection, lambda: tasks.settle(settled))

    assert ([], {"tasks_pkey"}, set()) == (plan.read_through, plan.indexes, plan.whole_indexes)
    assert len(claimed) == few
    # Rows of which progress is reported are found twice: see whether they are free, and change them.
    assert plan.buffers <= (16 if outcome is None else 12) * few
