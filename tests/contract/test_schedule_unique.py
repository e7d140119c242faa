"""Schedules of unique jobs: which task stands for a tick."""

import pytest

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.unique import Unique
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.status import TaskStatus
from tests.contract.clockwork import MINUTE, Clockwork, handler
from tests.contract.subject import Queue
from tests.examples import NOON, REPORT

STOOD_FOR = "its job is unique: this task was there, and stands for it"


def unique(queue: Queue) -> Clockwork:
    jobs = JobCatalog()
    jobs.define(REPORT, unique=Unique())(handler)
    return Clockwork(queue, jobs)


@pytest.mark.parametrize("is_running", [False, True])
def test_a_unique_job_whose_run_before_is_cancelled_still_gets_its_next_run(queue: Queue, is_running: bool) -> None:
    """
    What is cancelled stands for no later tick, whether it waited or runs.
    """
    clockwork = unique(queue)
    clockwork.create(every=MINUTE, overlap="cancel_previous")
    clockwork.advance(60)
    clockwork.fire()
    queue.register(lease=1e9)
    claimed = queue.claim() if is_running else []
    clockwork.advance(60)
    clockwork.fire()

    first, second = clockwork.tasks()
    assert (is_running, not is_running) == (bool(claimed), first.status is TaskStatus.CANCELLED)
    assert (is_running, TaskStatus.PENDING) == (first.cancel_requested_at is not None, second.status)
    assert ["12:01:00 fired", "12:02:00 fired"] == clockwork.states()
    assert [first.id, second.id] == [run.task_id for run in clockwork.history()]
    assert [None, None] == [run.reason for run in clockwork.history()]


def test_a_backfill_notes_which_ticks_share_a_task(queue: Queue) -> None:
    """
    As a tick that comes does: only one of them has a task of its own.
    """
    clockwork = unique(queue)
    clockwork.create(every=MINUTE)

    tasks = clockwork.backfill(NOON - 3 * MINUTE, NOON)

    assert [False, True, True] == [isinstance(task, ExistingTask) for task in tasks]
    assert [None, STOOD_FOR, STOOD_FOR] == [run.reason for run in clockwork.history()]
    assert {tasks[0].id} == {run.task_id for run in clockwork.history()}


def test_a_run_by_hand_notes_that_a_task_was_there(queue: Queue) -> None:
    """
    And has a task of its own when there was none.
    """
    clockwork = unique(queue)
    clockwork.create(every=MINUTE)

    first, second = clockwork.run_now(), clockwork.run_now()

    assert first.id == second.id
    assert [None, STOOD_FOR] == [run.reason for run in clockwork.history()]
