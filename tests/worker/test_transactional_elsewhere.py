"""Transactional jobs beside what else there is: checkpoints, runs here and now, ticks."""

import threading
from typing import Any

import pytest

from app import AttemptTimedOut, Constant, TaskContext, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.effects import WRITE, Effects
from tests.worker.running import Rig


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Short times, in PostgreSQL alone: only there are sessions."""
    return Settings(database_url=database_url, **QUICK)


async def test_a_checkpoint_outlives_a_commit_that_was_refused(rig: Rig, effects: Effects) -> None:
    """What was saved is there for the next attempt, as after any failure."""
    seen: list[Any] = []

    async def handler(payload: Any, context: TaskContext) -> None:
        seen.append(context.checkpoint)
        context.progress(1)
        # Stored at once; what comes within the second is stored with the end.
        await soon(lambda: rig.find(context.task).progress == 1, what="the first report is stored")
        context.save_checkpoint(context.task.attempts)
        for _ in range(2 if context.task.attempts == 1 else 1):  # the second is refused at the commit
            await context.session.execute(WRITE, {"note": "once"})

    found = await rig.ran(handler, transactional=True, retry=Constant(0), max_attempts=2)

    assert (TaskStatus.COMPLETED, [None, 1], ["once"]) == (found.status, seen, effects.notes)


@pytest.mark.parametrize("transactional", [False, True])
async def test_a_refused_commit_is_the_error_of_a_run(rig: Rig, effects: Effects, transactional: bool) -> None:
    """The same one, whoever stores that the attempt has failed."""

    async def handler(payload: Any, context: TaskContext) -> None:
        for _ in range(2):
            await context.session.execute(WRITE, {"note": "once"})

    rig.define("job", handler, transactional=transactional, retry=Constant(60))
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("job").id)

    assert (TaskStatus.PENDING, 1) == (outcome.task.status, outcome.task.attempts)
    assert outcome.task.error is not None
    assert str(outcome.error).splitlines()[0] in outcome.task.error


async def test_a_timeout_is_the_error_of_a_run(rig: Rig, effects: Effects) -> None:
    """Of a thread with an open session, whose fate only the database knows at that moment."""
    let_go = threading.Event()

    def handler(payload: Any, context: TaskContext) -> None:
        context.session.execute(WRITE, {"note": "late"})
        let_go.wait(20)

    rig.define("job", handler, transactional=True, timeout=0.3, retry=Constant(60))
    outcome = await rig.tasks.run_task().aexecute(rig.enqueue("job").id)
    let_go.set()

    assert isinstance(outcome.error, AttemptTimedOut)
    assert (TaskStatus.PENDING, []) == (outcome.task.status, effects.notes)


async def test_a_tick_does_not_count_what_it_gave_back(rig: Rig, effects: Effects) -> None:
    """With a session open or without."""
    let_go = threading.Event()

    def handler(payload: Any, context: TaskContext) -> None:
        context.session.execute(WRITE, {"note": "late"})
        let_go.wait(20)

    rig.define("job", handler, transactional=True)
    task = rig.enqueue("job")
    ran = await rig.tasks.worker().tick(budget=1, max_tasks=1)
    let_go.set()

    found = rig.find(task)
    assert (0, TaskStatus.PENDING, 0) == (ran, found.status, found.attempts)
