"""The upkeep loop: begins at once, outlives whatever happens, and says once what it may not do."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from app import Keep, Unique
from app.domain.errors import DatabaseUnavailable
from app.domain.jobs.job import Job
from app.domain.retention_rules import RetentionRules
from app.domain.upkeep import UpkeepForbidden
from app.usecases.uniques import ClearUniques
from app.worker.upkeep import UpkeepLoop
from tests.contract.subject import in_memory
from tests.faults.waiting import soon
from tests.worker.running import Rig


class Broom:
    """A vacuum that meets one trouble after the other."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.asked = 0

    def vacuum_if_late(self) -> Sequence[str]:
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return ["tasks"]


async def test_a_worker_keeps_up_the_storage_from_its_start(rig: Rig) -> None:
    """
    A round has gone through soon after it began, and when is known.
    """
    async with rig.working() as worker:
        await soon(lambda: worker.upkeep.succeeded_at is not None, within=10, what="a round of upkeep")


async def test_a_worker_forgets_unique_keys_that_nobody_needs(rig: Rig) -> None:
    """
    In its rounds, from where the last one ended; what is taken stays taken.
    """
    rig.define("job", lambda payload, context: None, unique=Unique(key=lambda payload: payload))
    for number in range(3):
        await rig.drained(rig.enqueue("job", number))
    waiting = rig.enqueue("job", 3, delay=60)

    UpkeepLoop(rig.tasks.unit_of_work(), Broom()).round()
    left = rig.tasks.unit_of_work().run(ClearUniques())
    again = rig.enqueue("job", 3)

    assert (1, 0, waiting.id) == (left.seen, left.removed, again.id)


async def test_a_worker_removes_what_its_jobs_do_not_keep(rig: Rig) -> None:
    """
    Of the jobs of its catalog that say so, from its start; the newest stay.
    """
    for type, options in (("kept", {}), ("few", {"keep": Keep(count=2)}), ("none", {"keep": Keep(count=0)})):
        rig.define(type, lambda payload, context: None, **options)
    tasks = [rig.enqueue(type) for type in ("kept", "few", "none") for _ in range(5)]
    await rig.tasks.worker().drain()
    async with rig.working():
        await soon(lambda: rig.tasks.get_task_stats().execute().total == 7, what="the others are removed")

    left = rig.tasks.list_tasks().execute()
    assert {"kept": 5, "few": 2} == Counter(task.type for task in left)
    assert {task.id for task in left} <= {task.id for task in tasks}


async def test_upkeep_goes_on_after_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """
    Trouble with the database and errors of our own alike: it tries again, and the success is noted.
    """
    caplog.set_level(logging.INFO, "app.worker")
    broom = Broom(DatabaseUnavailable("away"), RuntimeError("ours"))
    loop = UpkeepLoop(in_memory().uow, broom)

    loop.start()
    await soon(lambda: loop.succeeded_at is not None, within=10, what="a round of upkeep")
    loop.stop()

    assert 3 == broom.asked
    assert "Upkeep: works again" in caplog.messages


def test_what_is_forbidden_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """
    The round goes through all the same, and the next one tries again: rights can be granted.
    """
    broom = Broom(UpkeepForbidden("vacuum", "tasks"), UpkeepForbidden("vacuum", "tasks"))
    loop = UpkeepLoop(in_memory().uow, broom)

    for _ in range(3):
        loop.round()

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["Upkeep: The database role may not vacuum: only the owner of tasks may"] == warnings
    assert 3 == broom.asked


def test_a_step_that_fails_does_not_keep_the_others_from_being_done() -> None:
    """
    What was in its way is known and raised at the end; when each step last went through is known as well.
    """
    broom = Broom()
    queue = in_memory()
    loop = UpkeepLoop(queue.uow, broom, rules=RetentionRules.of("*=1d"))
    loop.round()
    first = {name: state.succeeded_at for name, state in loop.steps.items()}
    failing: Job[Any, Any] = Job("a", lambda payload, context: None, keep=Keep(count=0))
    failing.keep = "never"  # which breaks the step in the middle
    loop = UpkeepLoop(queue.uow, broom, [failing])

    with pytest.raises(AttributeError):
        loop.round()

    failed = {name: state.error for name, state in loop.steps.items() if state.error is not None}
    assert None not in first.values()
    assert ({"remove what jobs do not keep"}, None, 2) == (set(failed), loop.succeeded_at, broom.asked)
    assert [] == [name for name, state in loop.steps.items() if name not in failed and state.succeeded_at is None]


def test_a_worker_clears_days_by_its_rules() -> None:
    """
    From its settings, in the rounds of its upkeep.
    """
    queue = in_memory()
    queue.register(lease=1e9)
    queue.enqueue()
    queue.complete(queue.claim_one())
    queue.clock.advance(3 * 86_400)

    UpkeepLoop(queue.uow, Broom(), rules=RetentionRules.of("completed=1d")).round()

    assert 0 == queue.stats().total
