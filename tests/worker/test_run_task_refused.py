"""Run task: what is refused, given back, or came too late."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app import (
    DatabaseUnavailable,
    IllegalTransition,
    InvalidInput,
    JobCatalog,
    LeaseLost,
    Outcome,
    TaskContext,
    TaskHeld,
    TaskNotFound,
    TaskQueueContainer,
    TaskStatus,
    UnknownType,
)
from app.infra.settings import Settings
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.workers import RemoveWorker
from tests.examples import new_id
from tests.worker.conftest import QUICK
from tests.worker.running import Rig
from tests.worker.runs import assert_nothing_is_left, echo


async def test_what_cannot_be_run_is_refused(rig: Rig) -> None:
    """An id that nobody has, a type that is unknown here, a task that has ended: each with an error of its own."""
    rig.define("echo", echo)
    done, strange = rig.enqueue("echo"), rig.enqueue("video:cut")
    await rig.tasks.run_task().aexecute(done.id)
    run = rig.tasks.run_task().aexecute

    with pytest.raises(TaskNotFound):
        await run(new_id())
    with pytest.raises(UnknownType, match="video:cut"):
        await run(strange.id)
    with pytest.raises(IllegalTransition, match="it is completed"):
        await run(done.id)
    with pytest.raises(InvalidInput):
        await run("nothing")  # type: ignore[arg-type]  # that is the point

    assert (TaskStatus.PENDING, 0) == (rig.find(strange).status, rig.find(strange).attempts)
    assert_nothing_is_left(rig)


async def test_a_task_that_a_worker_runs_is_refused(rig: Rig) -> None:
    """With the name of that worker, whose attempt goes on."""
    finish = asyncio.Event()

    async def waits(payload: Any, context: TaskContext) -> str:
        await finish.wait()
        return context.worker_id

    rig.define("waits", waits)
    task = rig.enqueue("waits")
    async with rig.working() as worker:
        await rig.until(task, TaskStatus.RUNNING)
        with pytest.raises(TaskHeld) as refused:
            await rig.tasks.run_task().aexecute(task.id)
        assert worker.id == refused.value.worker_id
        finish.set()
        assert worker.id == (await rig.until(task, TaskStatus.COMPLETED)).result


async def test_two_who_run_one_task_run_it_once(rig: Rig) -> None:
    """One gets the outcome, the other the refusal."""
    ran: list[int] = []

    async def note(payload: Any, context: TaskContext) -> None:
        ran.append(1)
        await asyncio.sleep(0.05)

    rig.define("note", note)
    task = rig.enqueue("note")
    run = rig.tasks.run_task().aexecute

    answers = await asyncio.gather(*(run(task.id) for _ in range(4)), return_exceptions=True)

    assert [1] == ran
    assert 1 == sum(isinstance(answer, Outcome) for answer in answers)
    assert all(isinstance(answer, Outcome | IllegalTransition) for answer in answers)


async def test_a_cancelled_call_gives_the_task_back(rig: Rig) -> None:
    """No attempt is spent, and it is due as before: now, or when it was scheduled for."""
    began = asyncio.Event()

    async def forever(payload: Any, context: TaskContext) -> None:
        began.set()
        await asyncio.sleep(3600)

    rig.define("forever", forever)
    for asked in ({}, {"delay": 600}):
        task = rig.enqueue("forever", **asked)
        running = asyncio.create_task(rig.tasks.run_task().aexecute(task.id))
        await began.wait()
        began.clear()

        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)

        found = rig.find(task)
        assert (TaskStatus.PENDING, 0, task.scheduled_at) == (found.status, found.attempts, found.scheduled_at)
    assert_nothing_is_left(rig)


async def test_an_outcome_that_came_too_late_is_no_success(rig: Rig) -> None:
    """Whoever was taken for dead is told so: the task is others' now, and nothing of this attempt was stored."""

    async def outlives_its_lease(payload: Any, context: TaskContext) -> str:
        rig.tasks.unit_of_work().run(RemoveWorker(), context.worker_id)
        rig.tasks.unit_of_work().run(RecoverTasks(JobCatalog()))
        return "done"

    rig.define("slow", outlives_its_lease)
    task = rig.enqueue("slow")

    outcome = await rig.tasks.run_task().aexecute(task.id)

    assert isinstance(outcome.error, LeaseLost)
    assert (None, TaskStatus.PENDING, ["WorkerLost"]) == (
        outcome.result,
        outcome.task.status,
        [error.type for error in outcome.task.errors],
    )


async def test_a_database_that_goes_away_meanwhile_is_said(database_url: str) -> None:
    """Whoever asked must not take the outcome for stored."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, **QUICK), jobs=jobs)
    admin = create_async_engine(
        database_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    name = tasks.sync_engine().url.database

    async def breaks(payload: Any, context: TaskContext) -> None:
        async with admin.connect() as connection:
            await connection.execute(text(f'ALTER SCHEMA worker RENAME TO "away_{name}"'))

    jobs.define("breaks")(breaks)
    task = await tasks.enqueue_task().aexecute(type="breaks")

    with pytest.raises(DatabaseUnavailable) as said:
        await tasks.run_task().aexecute(task.id)

    assert said.value.outcome_unknown
    assert str(task.id) in str(said.value)
    await tasks.aclose()
    await admin.dispose()
