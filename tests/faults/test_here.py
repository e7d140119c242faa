"""A stored task that is run here and now, while answers of the database get lost on the way."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app import DatabaseUnavailable, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.proxy import Proxy
from tests.worker.conftest import QUICK


@pytest.fixture
async def tasks(proxy: Proxy) -> AsyncIterator[TaskQueueContainer]:
    """A queue behind the proxy, with a job that answers with what it is given."""
    jobs = JobCatalog()

    @jobs.define("echo")
    async def echo(payload: Any, context: TaskContext) -> Any:
        return payload

    tasks = TaskQueueContainer(settings=Settings(database_url=proxy.url, **QUICK), jobs=jobs)
    yield tasks
    await tasks.aclose()


async def test_a_claim_that_was_not_answered_is_given_back(tasks: TaskQueueContainer, proxy: Proxy) -> None:
    """It may be stored or not: whoever asked is told so, and nobody holds the task."""
    task = await tasks.enqueue_task().aexecute(type="echo", payload=5)
    proxy.lose_the_answer_to_the_commit_of("UPDATE worker.tasks SET")

    with pytest.raises(DatabaseUnavailable) as said:
        await tasks.run_task().aexecute(task.id)

    assert proxy.lost.is_set()
    assert said.value.outcome_unknown
    found = await tasks.find_task().aexecute(task.id)
    assert (TaskStatus.PENDING, 0, 1) == (found.status, found.attempts, found.lease_seq)
    assert 5 == (await tasks.run_task().aexecute(task.id)).unwrap()


async def test_a_settlement_that_was_not_answered_is_no_lost_lease(tasks: TaskQueueContainer, proxy: Proxy) -> None:
    """What was stored is recognised when it is stored once more."""
    task = await tasks.enqueue_task().aexecute(type="echo", payload=5)
    proxy.lose_the_answer_to_the_commit_of("gone AS")

    outcome = await tasks.run_task().aexecute(task.id)

    assert proxy.lost.is_set()
    assert (5, None, TaskStatus.COMPLETED) == (outcome.result, outcome.error, outcome.task.status)
    assert [] == list((await tasks.check_queue().aexecute()).workers)
