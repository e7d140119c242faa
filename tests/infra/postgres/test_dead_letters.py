"""Dead letters in PostgreSQL: what is locked is stepped around, and what many are costs no memory."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from app import JobCatalog, TaskQueueContainer
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import LetterPlace
from app.domain.jobs.context import TaskContext
from app.infra.postgres.dead_letters import PostgresDeadLetters
from app.infra.postgres.statements import Statements
from app.infra.settings import Settings
from app.worker.dead_letters import LetterWork
from tests.infra.postgres.letters import kill
from tests.infra.postgres.plans import plans_of

BIG = 20_000
"""Characters of payload of a letter."""


@pytest.fixture
def tasks(engine: Engine, database_url: str) -> Iterator[TaskQueueContainer]:
    """A queue that knows no jobs."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=JobCatalog())
    yield tasks
    tasks.close()


def test_an_export_of_many_holds_few_in_memory(tasks: TaskQueueContainer) -> None:
    """A page at a time: far less than all of them."""
    kill(tasks, 2_000, payload={"text": "x" * BIG})
    assert next(tasks.export_dead_letters().execute())["payload"] == {"text": "x" * BIG}, "and what the first one costs"

    tracemalloc.start()
    number = sum(1 for _ in tasks.export_dead_letters().execute())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 2_000 == number
    assert peak < 2_000 * BIG / 4


def test_a_letter_in_somebodys_hands_is_waited_for_and_not_lost(tasks: TaskQueueContainer, engine: Engine) -> None:
    """The chunks step around it; at the end it is looked for again, and taken when it is free."""
    held, *_ = kill(tasks, 1_500)
    asked = tasks.requeue_dead_letters().execute()
    assert asked.task_id is not None
    waits: list[float] = []

    with engine.connect() as somebody:

        def sleep(seconds: float) -> None:
            somebody.rollback()
            waits.append(seconds)

        work = LetterWork(tasks.unit_of_work, clock=lambda: sum(waits), sleep=sleep)
        somebody.execute(text("SELECT FROM worker.finished_dead WHERE id = :id FOR UPDATE"), {"id": held})
        task = tasks.find_task().execute(asked.task_id)
        answer = work.run(task.payload, TaskContext(task, "w"))

    assert ({"done": 1_500, "skipped": 0, "total": 1_500}, [0.5]) == (answer, waits)
    assert 1_501 == tasks.get_task_stats().execute().pending


_MANY = """
    INSERT INTO worker.finished (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload,
           finished_at, reason, shelf)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'letters:' || n % 3, 'default', 'failed', 0, 3, '2026-01-01', '2026-01-01',
           '{}', timestamptz '2026-01-01' + n * interval '1 ms', 'exhausted', 2
    FROM generate_series(1, 50000) n
"""
_EACH = 40
"""Pages that are looked at for a letter that is moved, at most: its entries, its row, its new version …"""


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("type", [None, "letters:1", "letters:*"])
def test_a_chunk_costs_what_is_in_it(connection: Connection, type: str | None, analyzed: bool) -> None:
    """However many letters there are, and whatever the planner believes: the shelf is not read from end to end."""
    connection.execute(text(_MANY))
    if analyzed:
        connection.execute(text("ANALYZE worker.finished_dead"))
    letters = PostgresDeadLetters(Statements(connection, "worker"))
    wanted = LetterFilter(type=type)
    after = LetterPlace(datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC), UUID(int=20_000))

    def work() -> None:
        letters.requeue(wanted, 100, after=after, force=False)
        letters.discard(wanted, 100, after=after)
        letters.newest(wanted, 100, after)

    for plan in plans_of(connection, work):
        assert [] == [table for table in plan.read_through if table.startswith("finished")]
        assert plan.buffers <= 100 * _EACH
