"""Typed jobs, from the enqueue to the result, in memory and in PostgreSQL."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app import (
    InvalidInput,
    InvalidJob,
    JobCatalog,
    NewTask,
    TaskDidNotComplete,
    TaskQueueContainer,
    TaskStatus,
    Unfit,
)
from app.infra.settings import Settings
from tests.journeys.typed import LETTER, LIMIT, NOON, PARCEL, RECEIPT, SLIP, Jobs, Letter, stored

AS_JSON = {"to": "ada@home", "at": "2026-03-01T12:00:00Z", "copies": 1}


async def test_a_task_is_enqueued_in_every_form(
    tasks: TaskQueueContainer, jobs: Jobs, engine: Engine, async_engine: AsyncEngine
) -> None:
    """Alone and many, at once and awaited, of its own and in the caller's transaction; all of them alike."""
    job, two = jobs.letter, [LETTER, LETTER]
    handles = [job.enqueue(LETTER, delay=60, correlation_id="r"), await job.aenqueue(LETTER, delay=60)]
    handles += [*job.enqueue_many(two, delay=60), *await job.aenqueue_many(iter(two), delay=60)]
    with Session(engine) as session, session.begin():
        handles += [job.enqueue_in(session, LETTER, delay=60), *job.enqueue_many_in(session, two, delay=60)]
    async with AsyncSession(async_engine) as session_, session_.begin():
        handles.append(await job.aenqueue_in(session_, LETTER, delay=60))
        handles += await job.aenqueue_many_in(session_, two, delay=60)

    found = [handle.refresh() for handle in handles]

    assert 12 == len({task.id for task in found}) == stored(tasks)
    assert [AS_JSON] * 12 == [task.payload for task in found]
    assert {("post", 3, 60.0, 1)} == {
        (task.queue, task.priority, (task.scheduled_at - task.created_at).total_seconds(), task.version)
        for task in found
    }
    assert ["r"] + [None] * 11 == [task.correlation_id for task in found]
    assert [] == job.enqueue_many([]) == await job.aenqueue_many([])


async def test_what_a_caller_says_beats_the_job(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """For one task; the job's own word stands for the others."""
    said, unsaid = jobs.letter.enqueue(LETTER, queue="other", priority=-1, max_attempts=9), jobs.letter.enqueue(LETTER)

    assert [("other", -1, 9), ("post", 3, 3)] == [
        (handle.task.queue, handle.task.priority, handle.task.max_attempts) for handle in (said, unsaid)
    ]


async def test_every_form_gets_its_payload_and_brings_its_result(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """As what it was on the way in: functions and classes, sync and async, of pydantic, dataclass and TypedDict."""
    letters = [job.enqueue(LETTER) for job in (jobs.letter, jobs.letter_sync, jobs.post, jobs.post_at_once)]
    parcel, slip, numbers = jobs.parcel.enqueue(PARCEL), jobs.slip.enqueue(SLIP), jobs.numbers.enqueue([1, 2])

    assert 7 == await tasks.worker().drain()

    assert [RECEIPT] * 4 == [await handle.aresult(timeout=0) for handle in letters]
    assert PARCEL == await parcel.aresult(timeout=0)
    assert SLIP == await slip.aresult(timeout=0)
    assert {"sum": 3} == await numbers.aresult(timeout=0)
    assert 4 == len(jobs.effects)
    assert all(payload in jobs.effects for payload in (LETTER, PARCEL, SLIP))
    assert {"number": 7, "at": "2026-03-01T12:00:00Z"} == slip.refresh().result


@pytest.mark.parametrize(
    "case",
    [
        ({"to": "ada@home"}, "must be an instance of Letter, not dict"),
        ("ada@home", "must be an instance of Letter, not str"),
        (None, "must be an instance of Letter, not NoneType"),
        (Letter.model_construct(to=7), "cannot be written as Letter"),
        (PARCEL, "must be an instance of Letter, not Parcel"),
    ],
)
async def test_what_is_no_instance_of_the_model_is_refused_with_nothing_stored(
    tasks: TaskQueueContainer, jobs: Jobs, engine: Engine, async_engine: AsyncEngine, case: tuple[Any, str]
) -> None:
    """In every form, and among good ones."""
    payload, rule = case
    job, many = jobs.letter, [LETTER, payload, LETTER]
    with pytest.raises(Unfit, match=rule) as refused:
        job.enqueue(payload)
    with pytest.raises(Unfit, match=rule):
        await job.aenqueue(payload)
    with pytest.raises(Unfit, match=rule):
        job.enqueue_many(many)
    with pytest.raises(Unfit, match=rule):
        await job.aenqueue_many(many)
    with Session(engine) as session, session.begin():
        with pytest.raises(Unfit, match=rule):
            job.enqueue_in(session, payload)
        with pytest.raises(Unfit, match=rule):
            job.enqueue_many_in(session, many)
    async with AsyncSession(async_engine) as session_, session_.begin():
        with pytest.raises(Unfit, match=rule):
            await job.aenqueue_in(session_, payload)
        with pytest.raises(Unfit, match=rule):
            await job.aenqueue_many_in(session_, many)

    assert ("payload", payload) == (refused.value.field, refused.value.value)
    assert 0 == stored(tasks)


async def test_json_that_does_not_fit_the_model_is_refused_with_nothing_stored(tasks: TaskQueueContainer) -> None:
    """Where a task is enqueued by its type: with the model's own messages, at the place they are about."""
    wrong = {"to": "nowhere", "copies": 10}
    rule = "does not fit Letter: to: Value error, must have a house; copies: Input should be less than or equal to 9"

    with pytest.raises(Unfit, match=rule):
        tasks.enqueue_task().execute(type="letter:function", payload=wrong)
    with pytest.raises(Unfit, match=rule):
        await tasks.enqueue_task().aexecute(type="letter:function", payload=wrong)
    with pytest.raises(Unfit, match=rule):
        tasks.enqueue_tasks().execute(
            [NewTask(type="letter:function", payload=payload) for payload in (AS_JSON, wrong)]
        )

    assert 0 == stored(tasks)


async def test_a_bad_one_among_concurrent_calls_fails_alone(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """Calls that are under way together may share a statement, and never an error."""
    wrong: Any = {"to": "ada@home"}
    calls: list[Any] = []
    for _ in range(10):
        calls += [
            jobs.letter.aenqueue(LETTER),
            jobs.letter.aenqueue(wrong),
            tasks.enqueue_task().aexecute(type="letter:function", payload={"to": "nowhere"}),
            jobs.letter.aenqueue(Letter(to="@" * LIMIT)),
            jobs.letter.aenqueue(LETTER, priority="high"),  # type: ignore[arg-type]  # what is refused
            jobs.parcel.aenqueue(PARCEL),
        ]

    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert [None, "payload", "payload", "payload", "priority", None] * 10 == [
        answer.field if isinstance(answer, InvalidInput) else getattr(answer, "error", None) for answer in answers
    ]
    assert 20 == stored(tasks)


async def test_a_payload_that_no_longer_fits_fails_its_task_for_good(settings: Settings, jobs: Jobs) -> None:
    """With the model's own messages, on its first attempt, and with no effect."""
    earlier = JobCatalog()
    earlier.define("letter:function")(lambda payload, context: None)
    before = TaskQueueContainer(settings=settings, jobs=earlier)
    ids = [
        before.enqueue_task().execute(type="letter:function", payload=payload).id
        for payload in ({"to": "nowhere"}, [1], AS_JSON)
    ]

    after = TaskQueueContainer(settings=settings, jobs=jobs.catalog, store=before.store())
    ran = await after.worker().drain()

    found = [after.find_task().execute(id) for id in ids]
    assert 3 == ran
    assert [(TaskStatus.FAILED, 1), (TaskStatus.FAILED, 1), (TaskStatus.COMPLETED, 1)] == [
        (task.status, task.attempts) for task in found
    ]
    assert "does not fit Letter: to: Value error, must have a house" in (found[0].error or "")
    assert "does not fit Letter: it: Input should be an object" in (found[1].error or "")
    assert [LETTER] == jobs.effects
    for container in (before, after):
        await container.aclose()


async def test_a_result_that_does_not_fit_fails_its_task_for_good(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """Saying that the effects are done: another attempt would only do them again."""
    wrong, large = jobs.wrong.enqueue(LETTER), jobs.large.enqueue(LETTER)

    ran = await tasks.worker().drain()

    assert (2, [LETTER, LETTER]) == (ran, jobs.effects)
    for handle, rule in ((wrong, "must be an instance of Receipt, not str"), (large, "must be at most 1000 bytes")):
        task = handle.refresh()
        assert (TaskStatus.FAILED, 1) == (task.status, task.attempts)
        assert "the handler ran, with all its effects, and returned what" in (task.error or "")
        assert rule in (task.error or "")
        with pytest.raises(TaskDidNotComplete, match="with all its effects"):
            await handle.aresult(timeout=0)


class Unwritable:
    """Nothing that JSON has a word for."""


@pytest.mark.parametrize("models", [{"payload": Unwritable}, {"payload": Letter, "result": Unwritable}])
async def test_a_model_that_cannot_be_written_is_refused(settings: Settings, models: dict[str, Any]) -> None:
    """When a worker starts, and at the first enqueue; naming it, with nothing stored."""
    catalog = JobCatalog()
    job = catalog.define("job", **models)(lambda payload, context: None)
    tasks = TaskQueueContainer(settings=settings, jobs=catalog)

    with pytest.raises(InvalidJob, match="its model Unwritable cannot be the model of a payload or result"):
        tasks.worker()
    with pytest.raises(InvalidJob, match="Unwritable"):
        job.enqueue(LETTER if "result" in models else Unwritable())

    assert 0 == stored(tasks)
    await tasks.aclose()


async def test_a_job_runs_here_and_now(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """With nothing stored: the payload read and the result written as ever."""
    outcome = await jobs.letter.arun(LETTER)

    assert (RECEIPT, None, TaskStatus.COMPLETED) == (outcome.unwrap(), outcome.error, outcome.task.status)
    assert (0, NOON) == (stored(tasks), jobs.effects[0].at)
