"""Outcomes that the database refuses: the others of their batch are stored, and told as what they are."""

import asyncio

import pytest
from sqlalchemy import Engine, text

from app import Constant, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings


@pytest.fixture
def jobs() -> JobCatalog:
    jobs = JobCatalog()
    met = asyncio.Event()

    @jobs.define("good")
    async def good(payload: object, context: TaskContext) -> None:
        await met.wait()

    @jobs.define("bad", max_attempts=1)
    async def bad(payload: object, context: TaskContext) -> None:
        met.set()
        raise ValueError("no")

    return jobs


def refuse(engine: Engine, error: str) -> None:
    """Have a trigger refuse whatever ends in an error like this."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN IF NEW.errors IS NOT NULL AND NEW.error LIKE '{error}' THEN RAISE 'refused'; END IF;"
                " RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON worker.finished FOR EACH ROW EXECUTE FUNCTION refuse()")
        )


async def test_the_others_of_a_batch_are_told_as_completed(engine: Engine, database_url: str, jobs: JobCatalog) -> None:
    """
    What completed has a statement of its own, which is through when that of the failed one is refused: by somebody's
    trigger, say. It is not taken for a lost lease when the batch is tried one by one.
    """
    refuse(engine, "ValueError%")
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, worker_concurrency=10), jobs=jobs)
    told: list[str] = []
    tasks.signals().completed.connect(lambda sender, event: told.append("completed"), weak=False)
    tasks.signals().lease_lost.connect(lambda sender, event: told.append("lease lost"), weak=False)
    tasks.signals().failed.connect(lambda sender, event: told.append("failed"), weak=False)
    for type_ in ("good", "good", "good", "bad"):
        await tasks.enqueue_task().aexecute(type=type_)

    await tasks.worker().drain()
    found = {task.type: task for task in await tasks.list_tasks().aexecute()}
    await tasks.aclose()

    assert ["completed"] * 3 + ["failed"] == sorted(told)
    assert (TaskStatus.COMPLETED, TaskStatus.FAILED) == (found["good"].status, found["bad"].status)
    assert "OutcomeNotStorable" in (found["bad"].error or "")


async def test_progress_that_is_refused_costs_no_checkpoint(engine: Engine, database_url: str) -> None:
    """
    That goes with the end of the attempt, whatever became of what was reported on the way.
    """
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE worker.tasks ADD CHECK (progress IS DISTINCT FROM 50)"))
    jobs = JobCatalog()

    @jobs.define("odd", retry=Constant(60))
    async def odd(payload: object, context: TaskContext) -> None:
        context.progress(50)
        context.save_checkpoint(7)
        raise ValueError("no")

    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    task = await tasks.enqueue_task().aexecute(type="odd")

    await tasks.worker().drain()
    found = await tasks.find_task().aexecute(task.id)
    await tasks.aclose()

    assert (TaskStatus.PENDING, 1, None, 7) == (found.status, len(found.errors), found.progress, found.checkpoint)


async def test_an_outcome_in_doubt_that_is_refused_is_stored_as_failed(engine: Engine, database_url: str) -> None:
    """
    The commit of a session broke off, and what its attempt ended in is nothing that the database will hold.
    """
    refuse(engine, "%IntegrityError%")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    jobs = JobCatalog()

    @jobs.define("twice", transactional=True, max_attempts=1)
    async def twice(payload: object, context: TaskContext) -> None:
        await context.session.execute(text("INSERT INTO once VALUES (1), (1)"))

    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    task = await tasks.enqueue_task().aexecute(type="twice")

    async with asyncio.timeout(20):
        await tasks.worker().drain()
    found = await tasks.find_task().aexecute(task.id)
    await tasks.aclose()

    assert TaskStatus.FAILED is found.status
    assert "OutcomeNotStorable" in (found.error or "")
