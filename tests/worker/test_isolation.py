"""Isolation: handlers in processes of their own are told what others are, and answer as others do."""

import asyncio
import logging
import os
from typing import Any

import pytest

from app import JobCatalog, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from app.worker.isolation import child
from tests.worker import isolated
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


@pytest.fixture
def settings() -> Settings:
    """What runs a handler does not depend on where its task is stored."""
    return Settings(in_memory=True, **QUICK | {"worker_cpu_processes": 1})


@pytest.fixture
async def rig(rig: Rig) -> Rig:
    """With the jobs that a process can import."""
    for job in isolated.jobs:
        job.catalog = None  # that of the test before; it may belong to one alone
        rig.jobs.add(job)
    return rig


async def test_a_payload_and_a_result_with_models_cross_over(rig: Rig) -> None:
    """The handler gets an instance and returns one, in another process than the worker's."""
    done = await rig.drained(rig.enqueue("total", {"upto": 4}))

    assert (TaskStatus.COMPLETED, 10) == (done.status, done.result["total"]), done.errors
    assert os.getpid() != done.result["process"]


async def test_the_context_is_that_of_the_attempt(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Its task and worker are known there, the last progress is stored, and what it logs comes out at the worker."""
    with caplog.at_level(logging.INFO):
        done = await rig.drained(rig.enqueue("told", {"some": "payload"}))

    assert (str(done.id), 1) == (done.result["task"], done.result["attempt"])
    assert done.result["worker"].startswith("here/")
    assert (100, "step 100") == (done.progress, done.progress_message)
    [line] = [record for record in caplog.records if record.name == "app.jobs"]
    assert f"[told {done.id}] at work on {{'some': 'payload'}}" == line.getMessage()
    assert str(done.id) == vars(line)["task_id"]


async def test_the_class_form_is_found_in_its_catalog(rig: Rig) -> None:
    """It has no name of its own in its module."""
    assert 42 == (await rig.drained(rig.enqueue("doubled", 21))).result


async def test_answers_mean_what_they_do_elsewhere(rig: Rig) -> None:
    """RetryLater, FailForGood, CancelTask and Snooze."""
    tasks = {answer: rig.enqueue("answers", answer) for answer in ("later", "good", "cancel", "snooze")}
    await rig.tasks.worker().drain()

    found = {answer: rig.find(task) for answer, task in tasks.items()}
    assert {
        "later": (TaskStatus.PENDING, 1, "RetryLater: not now"),
        "good": (TaskStatus.FAILED, 1, "FailForGood: it is never right"),
        "cancel": (TaskStatus.CANCELLED, 1, "nobody wants it"),
        "snooze": (TaskStatus.PENDING, 0, None),
    } == {answer: (task.status, task.attempts, task.error) for answer, task in found.items()}


async def test_an_error_that_pickles_is_itself_again(rig: Rig) -> None:
    """The job's policy is asked about the original class, and the task shows the traceback of the other process."""
    found = await rig.drained(rig.enqueue("careful"))

    [error] = found.errors
    assert (TaskStatus.FAILED, "tests.worker.isolated.Careful", "took care") == (
        found.status,
        error.type,
        error.message,
    )
    assert 'raise Careful("took care")' in error.traceback


async def test_an_error_that_does_not_pickle_has_a_stand_in_of_its_name(rig: Rig) -> None:
    """Its message and its traceback there are told as well."""
    found = await rig.drained(rig.enqueue("awkward"))

    [error] = found.errors
    assert (TaskStatus.PENDING, "tests.worker.isolated.Awkward") == (found.status, error.type)
    assert "does not pickle (7)" == error.message
    assert "raise Awkward(7" in error.traceback


async def test_a_handler_that_calls_sys_exit_fails_its_attempt(rig: Rig) -> None:
    """And the process goes on to the next task."""
    exits, other = rig.enqueue("exits", priority=1), rig.enqueue("pid")
    await rig.tasks.worker().drain()

    assert (TaskStatus.PENDING, "SystemExit: enough") == (rig.find(exits).status, rig.find(exits).error)
    assert TaskStatus.COMPLETED is rig.find(other).status


async def test_what_is_no_json_fails_for_good(rig: Rig) -> None:
    """Another attempt would bring the same, and its effects twice."""
    found = await rig.drained(rig.enqueue("set"))

    assert TaskStatus.FAILED is found.status
    assert "with all its effects, and returned what cannot be stored: result: must be JSON" in (found.error or "")


async def test_hooks_and_middleware_stay_with_the_worker(rig: Rig) -> None:
    """They are called around the other process, and see its result as the model says."""
    seen: list[object] = []

    async def around(attempt: object, inner: object) -> object:
        seen.append(os.getpid())
        return await inner()  # type: ignore[operator]  # a middleware's inner

    def after(payload: object, context: TaskContext, result: object) -> None:
        seen.append((os.getpid(), type(result)))

    catalog = JobCatalog(middleware=[around], after=[after])
    job = isolated.jobs.get("total")
    assert job is not None
    job.catalog = None
    catalog.add(job)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=catalog)
    task = tasks.enqueue_task().execute(type="total", payload={"upto": 4})
    try:
        await tasks.worker().drain()
    finally:
        isolated.jobs._jobs["total"].join(isolated.jobs)

    assert TaskStatus.COMPLETED is tasks.find_task().execute(task.id).status
    assert [os.getpid(), (os.getpid(), isolated.Total)] == seen
    await tasks.aclose()


async def test_here_and_now_needs_no_other_process(rig: Rig) -> None:
    """Whoever runs a job where they are wants it there."""
    job = isolated.jobs.get("pid")
    assert job is not None
    assert os.getpid() == (await job.arun(None, persist=False)).result


async def test_one_process_serves_many_tasks(rig: Rig) -> None:
    """It is kept for the next one."""
    tasks = [rig.enqueue("pid") for _ in range(5)]
    await rig.tasks.worker().drain()

    assert 1 == len({rig.find(task).result for task in tasks})


async def test_a_process_is_replaced_after_so_many_tasks() -> None:
    """Here after two."""
    tasks = TaskQueueContainer(
        settings=Settings(in_memory=True, worker_cpu_processes=1, worker_process_tasks=2, **QUICK), jobs=isolated.jobs
    )
    made = [tasks.enqueue_task().execute(type="pid") for _ in range(6)]
    await tasks.worker().drain()

    results = [tasks.find_task().execute(task.id).result for task in made]
    assert [2, 2, 2] == [results.count(pid) for pid in dict.fromkeys(results)]
    await tasks.aclose()


async def test_what_a_handler_leaves_behind_does_not_report_for_the_next_task(rig: Rig) -> None:
    """Its thread lives on in the process, which runs another task."""
    late, other = rig.enqueue("reports:late", priority=1), rig.enqueue("naps", 0.5)
    await rig.tasks.worker().drain()

    assert (TaskStatus.COMPLETED, "late") == (rig.find(late).status, rig.find(late).progress_message)
    assert (TaskStatus.COMPLETED, None) == (rig.find(other).status, rig.find(other).progress_message)


async def test_a_checkpoint_crosses_over_at_once(rig: Rig) -> None:
    """The last one is with the worker when the process dies, and the next attempt goes on from it."""
    done = await rig.drained(rig.enqueue("saves"))

    assert (TaskStatus.COMPLETED, 2, {"step": 3}) == (done.status, done.attempts, done.result), done.errors
    assert ["ProcessDied"] == [error.type.rpartition(".")[2] for error in done.errors]


async def test_a_process_of_its_own_has_no_session_and_says_so(rig: Rig) -> None:
    """Whether or not the queue is in memory; it is the error that it would be in the worker."""
    [error] = (await rig.drained(rig.enqueue("session"))).errors

    assert "app.domain.jobs.sessions.NoDatabase" == error.type
    assert "a handler in a process of its own has no session" in error.message
    assert "NoDatabase" in error.traceback


async def no_process(*given: Any) -> Any:
    raise OSError("there can be no more processes")


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [(child.ChildProcess, "started", no_process), (child, "START", 0)],
    ids=["none can be started", "it takes too long"],
)
async def test_what_comes_after_a_start_that_failed_is_on_its_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, place: object, name: str, value: object
) -> None:
    """Its handler was never called, but the middleware around it has no end of its own."""
    monkeypatch.setattr(place, name, value)

    async def endless(attempt: object, inner: Any) -> Any:
        try:
            return await inner()
        finally:
            await asyncio.sleep(3600)

    catalog = JobCatalog(middleware=[endless])
    job = isolated.jobs.get("pid")
    assert job is not None
    job.catalog = None
    catalog.add(job)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=catalog)
    late = Rig(tasks, catalog)
    task = late.enqueue("pid", timeout=0.3, max_attempts=1)
    try:
        async with late.working():
            found = await late.until(task, TaskStatus.FAILED)
    finally:
        job.catalog = None
        job.join(isolated.jobs)

    assert "AttemptTimedOut: no result within 0.3 s" == found.error
    await tasks.aclose()
