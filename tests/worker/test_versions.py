"""Versions: old and new code side by side on one queue, and what becomes of old payloads."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from dependency_injector import providers

from app import InvalidJob, Job, JobCatalog, TaskCompleted, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.running import Rig


@dataclass
class Greeting:
    """What the payload is today; it was ``{"name": …}``, and then ``{"first": …, "last": …}``."""

    first: str
    last: str
    tongue: str


def greeting_in_three(jobs: JobCatalog) -> Job[Any, Any]:
    @jobs.define("greet", payload=Greeting, version=3)
    def greet(payload: Greeting, context: TaskContext) -> str:
        return f"{payload.first} {payload.last} ({payload.tongue})"

    @greet.upcast(1)
    def split(payload: dict[str, Any]) -> dict[str, Any]:
        first, last = payload.pop("name").split(" ")
        return {"first": first, "last": last}

    @greet.upcast(2)
    def speak(payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"tongue": "en"}

    return greet


@pytest.fixture
async def newer(rig: Rig, settings: Settings) -> AsyncIterator[Rig]:
    """The same queue, deployed with other code."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    if settings.in_memory:
        tasks.store.override(providers.Object(rig.tasks.store()))
    yield Rig(tasks, jobs)
    await tasks.aclose()


async def test_payloads_of_every_version_reach_the_handler_as_one_of_today(rig: Rig) -> None:
    """By a chain of upcasts; the stored payload stays as it was, and is what listeners are told of."""
    greeting_in_three(rig.jobs)
    told: dict[int, Any] = {}

    def note(sender: str, event: TaskCompleted) -> None:
        told[event.task.version] = event.task.payload

    rig.tasks.signals().completed.connect(note)
    tasks = [
        rig.enqueue("greet", {"name": "Ada Lovelace"}, version=1),
        rig.enqueue("greet", {"first": "Ada", "last": "Lovelace"}, version=2),
        rig.enqueue("greet", {"first": "Ada", "last": "Lovelace", "tongue": "fr"}),
    ]

    await rig.tasks.worker().drain()
    found = [rig.find(task) for task in tasks]

    assert ["Ada Lovelace (en)", "Ada Lovelace (en)", "Ada Lovelace (fr)"] == [task.result for task in found]
    assert [(1, {"name": "Ada Lovelace"}), (2, {"first": "Ada", "last": "Lovelace"})] == [
        (task.version, task.payload) for task in found[:2]
    ]
    assert {task.version: task.payload for task in found} == told


async def test_an_upcast_that_raises_fails_the_task_for_good(rig: Rig) -> None:
    """The error names the job, the version and what was raised."""
    greeting_in_three(rig.jobs)
    found = await rig.drained(rig.enqueue("greet", {"nom": "Ada"}, version=1, max_attempts=5))

    assert (TaskStatus.FAILED, 1, {"nom": "Ada"}) == (found.status, found.attempts, found.payload)
    assert "job 'greet': the upcast from version 1 of its payload raised KeyError: 'name'" in (found.error or "")


async def test_an_old_payload_that_fits_no_more_fails_for_good_with_the_models_words(rig: Rig) -> None:
    """After its upcast it is held to the model of today."""
    greeting_in_three(rig.jobs)
    found = await rig.drained(rig.enqueue("greet", {"first": 7, "last": "Lovelace"}, version=2, max_attempts=5))

    assert (TaskStatus.FAILED, 1) == (found.status, found.attempts)
    assert "first: Input should be a valid string" in (found.error or "")


async def test_a_version_without_a_way_fails_for_good(rig: Rig) -> None:
    """A job that has no upcasts at all may have tasks of its first version."""
    rig.define("greet", lambda payload, context: payload, version=2)
    found = await rig.drained(rig.enqueue("greet", {}, version=1))

    assert (TaskStatus.FAILED, 1) == (found.status, found.attempts)
    assert "job 'greet': has no upcast from version 1" in (found.error or "")


def test_a_chain_with_a_hole_is_refused_when_a_worker_is_made(rig: Rig) -> None:
    """Before anything is claimed; and an upcast that leads nowhere when it is defined."""
    rig.define("greet", lambda payload, context: payload, version=4)
    job = rig.jobs.get("greet")
    assert job is not None
    job.upcast(1)(lambda payload: payload)
    job.upcast(3)(lambda payload: payload)

    with pytest.raises(InvalidJob, match=r"'greet'.*hole.*version 2"):
        rig.tasks.worker()
    with pytest.raises(InvalidJob, match="cannot upcast from version 4"):
        job.upcast(4)
    with pytest.raises(InvalidJob, match="from version 1 already"):
        job.upcast(1)(lambda payload: payload)


async def test_an_old_worker_leaves_newer_payloads_to_a_new_one(rig: Rig, newer: Rig) -> None:
    """Both work on one queue: the old one runs the old ones, does not go round in circles, and check names the rest."""
    rig.define("greet", lambda payload, context: "old " + payload["name"])
    new = greeting_in_three(newer.jobs)
    new_task = new.enqueue(Greeting("Ada", "Lovelace", "fr")).task
    old_task = rig.enqueue("greet", {"name": "Ada"})

    looks = await rig.tasks.worker().drain()
    async with rig.working():
        await rig.until(rig.enqueue("greet", {"name": "Eve"}), TaskStatus.COMPLETED)
        waiting = rig.find(new_task)
        problems = rig.tasks.check_queue().execute().problems
        async with newer.working():
            found = await newer.until(new_task, TaskStatus.COMPLETED)
            await soon(lambda: len(rig.tasks.check_queue().execute().workers) == 2, what="both are there")
            assert () == rig.tasks.check_queue().execute().newer_versions

    assert (1, "old Ada") == (looks, rig.find(old_task).result)
    assert (TaskStatus.PENDING, 0, 3) == (waiting.status, waiting.attempts, waiting.version)
    [problem] = problems
    assert problem.startswith("1 due task(s) of type 'greet' in version 3 wait for a worker that knows that version")
    assert ("Ada Lovelace (fr)", 1) == (found.result, found.attempts)
