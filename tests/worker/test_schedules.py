"""Schedules in workers: fired when they come, by whoever is there, once."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from app import InvalidOverride, InvalidSchedule, JobCatalog, ScheduleNotFound, TaskContext, TaskQueueContainer, Unique
from app.domain.schedules.plan import Plan
from app.infra.settings import Settings
from app.usecases.schedules.trim import TrimRuns
from app.worker import schedule_rounds, schedules
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig

SECOND = timedelta(seconds=1)
IN_MEMORY: dict[str, Any] = {"in_memory": True, **QUICK}


async def nothing(payload: Any, context: TaskContext) -> None: ...


def scheduled(rig: Rig, handler: Any = nothing, **plan: Any) -> None:
    rig.define("job", handler)
    job = rig.jobs.get("job")
    assert job is not None
    rig.jobs.schedule(job, **plan)


def fired(rig: Rig, key: str = "job") -> list[datetime]:
    """The ticks that have got a task, the earliest first."""
    try:
        runs = rig.tasks.get_schedule_history().execute(key, limit=1_000)
    except ScheduleNotFound:  # the worker has not told the database yet
        return []
    return [run.tick for run in runs if run.task_id][::-1]


def has_fired(rig: Rig, times: int, key: str = "job") -> bool:
    return len(fired(rig, key)) >= times


async def test_a_handler_is_told_its_tick(rig: Rig) -> None:
    """In the zone of the schedule; of a task that somebody enqueued there is none."""
    seen: list[Any] = []

    async def look(payload: Any, context: TaskContext) -> None:
        seen.append((payload, context.tick))

    scheduled(rig, look, every=SECOND, key="each", payload={"a": 1}, timezone="Asia/Tokyo")
    async with rig.working():
        await soon(lambda: len(seen) >= 2, what="two ticks have run")
    plain = rig.enqueue("job")
    await rig.drained(plain)

    (payload, first), (_, second) = seen[:2]
    assert ({"a": 1}, "each", False) == (payload, first.schedule, first.is_backfill)
    assert ("Asia/Tokyo", SECOND) == (str(first.at.tzinfo), second.at - first.at)
    assert None in [tick for _, tick in seen]


async def test_a_worker_does_not_start_on_a_wrong_schedule(rig: Rig) -> None:
    """It says which one, and what is wrong, before it asks the database for anything."""
    scheduled(rig, cron="0 0 30 2 *", key="nightly")

    with pytest.raises(InvalidSchedule, match="schedule 'nightly': cron: must name a day that exists"):
        rig.tasks.worker()


async def test_a_worker_does_not_start_on_a_wrong_setting() -> None:
    """Naming the variable and the key; a key that the code does not know is only warned of."""
    jobs = JobCatalog()
    jobs.schedule(jobs.define("job")(nothing), every=SECOND)
    settings = Settings(worker_schedules={"job": {"cron": "never"}}, **IN_MEMORY)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)

    with pytest.raises(InvalidOverride, match="WORKER_SCHEDULES: schedule 'job': cron: must have five fields"):
        tasks.worker()
    tasks.close()


async def test_a_setting_for_an_unknown_schedule_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The code may have been taken away, and the setting not yet."""
    tasks = TaskQueueContainer(settings=Settings(worker_schedules={"gone": {"enabled": False}}, **IN_MEMORY))
    tasks.jobs.override(JobCatalog())

    with caplog.at_level(logging.WARNING):
        tasks.worker()

    assert ["WORKER_SCHEDULES: there is no schedule 'gone' in the code, nothing of it is replaced"] == caplog.messages
    tasks.close()


async def test_a_schedule_made_while_a_worker_runs_ticks_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is told: its own next look would be an hour later."""
    monkeypatch.setattr(schedules, "LOOK", 3600.0)
    rig.define("job", nothing)
    async with rig.working() as worker:
        await soon(lambda: worker.schedules.succeeded_at is not None, what="the worker has looked")
        rig.tasks.create_schedule().execute("job", key="new", every=SECOND)
        await soon(lambda: has_fired(rig, 2, "new"), within=60, what="the new schedule has ticked")
        rig.tasks.pause_schedule().execute("new")
        paused = fired(rig, "new")
        await asyncio.sleep(0)

    assert paused == fired(rig, "new")


async def test_a_worker_fires_what_it_does_not_run(settings: Settings) -> None:
    """Firing is enqueueing: filters are about running."""
    jobs = JobCatalog()
    jobs.schedule(jobs.define("job")(nothing), every=SECOND)
    jobs.define("other")(nothing)
    rig = Rig(TaskQueueContainer(settings=settings.replaced(worker_task_types=("other",)), jobs=jobs), jobs)
    async with rig.working():
        await soon(lambda: has_fired(rig, 1), what="the schedule has ticked")

    assert {"pending"} == {run.task_status for run in rig.tasks.get_schedule_history().execute("job")}
    await rig.tasks.aclose()


async def test_a_tick_fires_and_runs_what_is_due(rig: Rig) -> None:
    """For platforms that call by the clock; the first one tells the database what the code says."""
    seen: list[Any] = []

    async def look(payload: Any, context: TaskContext) -> None:
        seen.append(context.tick)

    scheduled(rig, look, every=SECOND)
    worker = rig.tasks.worker()
    first = await worker.tick(budget=5)
    while not seen:
        await asyncio.sleep(0.05)
        await worker.tick(budget=5)

    assert 0 == first
    assert fired(rig)[0] == seen[0].at


async def test_a_drain_fires_what_is_due(rig: Rig) -> None:
    """Before it looks for tasks."""
    scheduled(rig, every=SECOND)
    await rig.tasks.worker().drain()
    due = rig.tasks.list_schedules().execute()[0].next_ticks[0]
    await soon(lambda: datetime.now(UTC) > due, what="the tick has come")

    assert 1 <= await rig.tasks.worker().drain()
    assert due in fired(rig)


async def test_a_schedule_whose_task_is_refused_holds_up_nobody(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """It is noted, and logged, and the others tick on."""
    rig.define("strict", nothing, unique=Unique(on_conflict="raise"))
    rig.tasks.enqueue_task().execute(type="strict", delay=600)
    strict = rig.jobs.get("strict")
    assert strict is not None
    rig.jobs.schedule(strict, every=SECOND)
    scheduled(rig, every=SECOND)

    async with rig.working():
        await soon(lambda: has_fired(rig, 3), what="the other one has ticked three times")

    history = rig.tasks.get_schedule_history().execute("strict")
    assert {"refused"} == {run.state for run in history}
    assert "A task of 'strict' must be unique" in (history[0].reason or "")
    assert "The task of schedule 'strict' was refused" in caplog.text


async def test_a_worker_repairs_and_forgets_from_time_to_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody changed by hand says again what the code says; of the history the latest runs are kept."""
    monkeypatch.setattr(schedule_rounds, "REPAIR", 0.0)
    monkeypatch.setattr(schedule_rounds, "TRIM", 0.0)
    monkeypatch.setattr(schedule_rounds, "TrimRuns", partial(TrimRuns, keep=2))
    scheduled(rig, every=SECOND)

    def change(tx: Any) -> None:
        schedule = tx.schedules.lock("default", "job")
        schedule.plan = Plan(every=7200)
        tx.schedules.save([schedule])

    async with rig.working() as worker:
        await soon(lambda: has_fired(rig, 1), what="the schedule has ticked")
        rig.tasks.unit_of_work().run(change)
        worker.schedules.wake()
        await soon(lambda: "every 0:00:01" == rig.tasks.list_schedules().execute()[0].plan, what="it is repaired")
        done = fired(rig)[-1]
        # A look that comes late fires several ticks, which the next one forgets.
        await soon(lambda: is_forgotten(rig, done, kept=3), within=60, what="what was before is forgotten")

    assert ("changed by hand and repaired, 1 time(s)",) == rig.tasks.list_schedules().execute()[0].warnings


def is_forgotten(rig: Rig, done: datetime, *, kept: int) -> bool:
    ticks = fired(rig)
    return ticks[0] > done and len(ticks) <= kept


async def test_a_queue_without_schedules_is_asked_for_them_by_one_statement(database_url: str) -> None:
    """Four times a minute a read, and for a task nothing at all."""
    engine = create_engine(database_url)
    tasks = TaskQueueContainer(settings=Settings(**QUICK), engine=engine, jobs=JobCatalog())
    loop = tasks.worker().schedules
    loop.look()
    loop.look()  # the second asks whether anything is to be forgotten, once an hour
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        loop.look()
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert ["SELECT"] == [one.split()[0] for one in sent]
    await tasks.aclose()
    engine.dispose()
