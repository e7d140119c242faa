"""Dead letters and workers: every worker knows the queue's own job, and nobody else sees it."""

import asyncio
import time
from typing import Any

import pytest

from app import DeadLetter, FailForGood, JobCatalog, TaskDeadLettered, TaskQueueContainer, TaskStatus
from app.domain.dead_letters.actions import WORK
from app.infra.settings import Settings
from tests.infra.postgres.letters import kill

MANY = 1_200


@pytest.fixture
def jobs() -> JobCatalog:
    """An application's jobs: one that refuses everything, and one that is told of it."""
    jobs = JobCatalog()
    jobs.told = []  # type: ignore[attr-defined]

    @jobs.define("pager:call")
    async def call(payload: Any, context: Any) -> None:
        jobs.told.append(payload)  # type: ignore[attr-defined]

    @jobs.define("text:refuse", dead_letter=DeadLetter(alert=call))
    async def refuse(payload: Any, context: Any) -> None:
        raise FailForGood("it is never right")

    return jobs


def queue(jobs: JobCatalog, **settings: Any) -> TaskQueueContainer:
    return TaskQueueContainer(settings=Settings(**settings), jobs=jobs)


async def test_an_applications_catalog_knows_nothing_of_it(jobs: JobCatalog) -> None:
    """Neither its number nor its types change; jobs that are added later are known to workers as well."""
    tasks = queue(jobs, in_memory=True)
    known = tasks.known_jobs()

    jobs.define("later")(lambda payload, context: None)

    assert ("later", "pager:call", "text:refuse") == jobs.types() == tuple(sorted(job.type for job in jobs))
    assert (WORK, "later", "pager:call", "text:refuse") == known.types()
    assert (3, 4, False) == (len(jobs), len(known), WORK in jobs)
    await tasks.aclose()


async def test_a_worker_for_certain_types_runs_it_only_if_they_fit(jobs: JobCatalog) -> None:
    """The pattern says what it takes."""
    fits = [
        WORK in queue(jobs, in_memory=True, worker_task_types=types).worker()._types
        for types in ((), ("app:*",), ("text:*",))
    ]

    assert [True, True, False] == fits


async def test_a_death_calls_somebody(jobs: JobCatalog, database_url: str) -> None:
    """From the handler's refusal to the handler of the alert, and the signal beside it."""
    tasks = queue(jobs, database_url=database_url)
    heard: list[TaskDeadLettered] = []
    tasks.signals().dead_lettered.connect(lambda sender, event: heard.append(event), weak=False)
    task = await tasks.enqueue_task().aexecute(type="text:refuse", payload={})

    assert 2 == await tasks.worker().drain()

    expected = {
        "task_id": str(task.id),
        "type": "text:refuse",
        "queue": "default",
        "reason": "rejected",
        "error": "FailForGood: it is never right",
        "attempts": 1,
    }
    assert [expected] == jobs.told  # type: ignore[attr-defined]
    assert [(task.id, "rejected")] == [(event.task.id, event.reason) for event in heard]
    await tasks.aclose()


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_worker_works_through_many(jobs: JobCatalog, in_memory: bool, database_url: str) -> None:
    """By the application's own container, on both adapters; its progress is that of its task."""
    tasks = queue(jobs, in_memory=True) if in_memory else queue(jobs, database_url=database_url)
    await asyncio.to_thread(kill, tasks, MANY)
    asked = await tasks.requeue_dead_letters().aexecute()
    assert asked.task_id is not None

    await tasks.worker().drain()

    task = await tasks.find_task().aexecute(asked.task_id)
    assert (TaskStatus.COMPLETED, {"done": MANY, "skipped": 0, "total": MANY}) == (task.status, task.result)
    assert (100, MANY) == (task.progress, (await tasks.get_task_stats().aexecute()).pending)
    await tasks.aclose()


def test_it_can_be_run_here(jobs: JobCatalog, database_url: str) -> None:
    """As any task: where no worker runs."""
    tasks = queue(jobs, database_url=database_url)
    kill(tasks, MANY)
    asked = tasks.discard_dead_letters().execute()
    assert asked.task_id is not None

    outcome = tasks.run_task().execute(asked.task_id)

    assert {"done": MANY, "skipped": 0, "total": MANY} == outcome.result
    tasks.close()


def test_what_is_too_old_goes_with_the_upkeep(jobs: JobCatalog, database_url: str) -> None:
    """Where a setting says so, and not otherwise."""
    tasks = queue(jobs, database_url=database_url, worker_dead_letter_ttl="20ms")
    kept = queue(jobs, database_url=database_url)
    kill(tasks, 30)
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        kept.worker().upkeep.round()
    assert 30 == tasks.count_dead_letters().execute().total

    tasks.worker().upkeep.round()

    assert 0 == tasks.count_dead_letters().execute().total
    assert [("purge", "upkeep", 30)] == [
        (action.kind, action.actor, action.done) for action in tasks.list_dead_letter_actions().execute()
    ]
    kept.close()
    tasks.close()


async def test_an_export_can_be_awaited(jobs: JobCatalog, database_url: str) -> None:
    """With ``async for``; the same letters."""
    tasks = queue(jobs, database_url=database_url)
    died = await asyncio.to_thread(kill, tasks, 150)

    exported = [letter["id"] async for letter in tasks.export_dead_letters().aexecute(type="letters:*")]

    assert set(map(str, died)) == set(exported)
    assert 150 == len(exported)
    await tasks.aclose()
