"""Workers whose role has no rights on the tables of schedules."""

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, make_url

from app import JobCatalog, QueueError, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.worker.conftest import QUICK
from tests.worker.running import Rig

MINUTE = timedelta(minutes=1)


async def nothing(payload: Any, context: TaskContext) -> None: ...


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """A role that may do everything with our tables but those two."""
    name = f"no_schedules_{make_url(database_url).database}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        for statement in (
            "CREATE ROLE {}",
            "GRANT USAGE ON SCHEMA worker TO {}",
            "GRANT ALL ON ALL TABLES IN SCHEMA worker TO {}",
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA worker TO {}",
            "REVOKE ALL ON worker.schedules, worker.ticks FROM {}",
        ):
            owner.execute(sql.SQL(statement).format(sql.Identifier(name)))
        yield name
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            owner.execute(sql.SQL(statement).format(sql.Identifier(name)))


@pytest.fixture
async def rig(role: str, database_url: str) -> AsyncIterator[Rig]:
    """An empty queue, worked on by that role."""
    engine = create_engine(database_url, connect_args={"options": f"-c role={role}"})
    jobs = JobCatalog()
    rig = Rig(TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=jobs), jobs)
    rig.define("job", nothing)
    yield rig
    await rig.tasks.aclose()
    engine.dispose()


@pytest.mark.parametrize("how", ["run", "drain", "tick"])
async def test_who_has_no_schedules_needs_no_rights_on_them(
    rig: Rig, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Tasks are run, and it is said once why no schedule is fired."""
    task = rig.enqueue("job")
    with caplog.at_level(logging.WARNING):
        if how == "run":
            async with rig.working() as worker:
                await rig.until(task, TaskStatus.COMPLETED)
                worker.schedules.look()
        else:
            worker = rig.tasks.worker()
            for _ in range(2):
                await (worker.drain() if how == "drain" else worker.tick(budget=5))

    assert TaskStatus.COMPLETED is rig.find(task).status
    [told] = [message for message in caplog.messages if "schedule" in message]
    assert told.startswith("No schedule is fired here, and none is in the code: The database keeps schedules from this")


@pytest.mark.parametrize("how", ["run", "drain", "tick"])
async def test_who_has_schedules_does_not_start_without_rights_on_them(rig: Rig, how: str) -> None:
    """It says which rights are missing."""
    job = rig.jobs.get("job")
    assert job is not None
    rig.jobs.schedule(job, every=MINUTE)
    worker = rig.tasks.worker()

    with pytest.raises(QueueError, match=r"\(permission denied for table schedules.*grant it SELECT, INSERT, UPDATE"):
        await (worker.tick(budget=5) if how == "tick" else getattr(worker, how)())
