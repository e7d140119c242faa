"""Waiting for results: what a handle brings, in every case, and with how little looking."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from app import (
    DatabaseUnavailable,
    InvalidInput,
    Job,
    LoopIsRunning,
    ResultExpired,
    TaskContext,
    TaskDidNotComplete,
    TaskNotFinished,
    TaskNotFound,
    TaskStatus,
    Unfit,
)
from tests.faults.waiting import soon
from tests.worker.running import Rig


@dataclass
class Number:
    value: int


@dataclass
class Text:
    value: str


def doubling(rig: Rig, type: str = "double", **options: Any) -> Job[Number, Number]:
    async def double(payload: Number, context: TaskContext) -> Number:
        return Number(payload.value * 2)

    return rig.jobs.define(type, payload=Number, result=Number, **options)(double)


async def test_a_result_is_waited_for_by_a_coroutine_and_by_a_thread(rig: Rig) -> None:
    """Each gets an instance of the result's model, and the handle shows the task as it ended."""
    double = doubling(rig)
    async with rig.working():
        one, other = await double.aenqueue(Number(4)), await double.aenqueue(Number(5))

        results = await asyncio.gather(one.aresult(timeout=10), asyncio.to_thread(other.result, 10))

    assert [Number(8), Number(10)] == list(results)
    assert {TaskStatus.COMPLETED} == {one.task.status, other.task.status}


async def test_many_are_waited_for_with_few_looks(rig: Rig) -> None:
    """One query for all of them: five hundred handles are not five hundred pollers."""
    double = doubling(rig)
    handles = await double.aenqueue_many([Number(number) for number in range(500)])
    waiter = rig.tasks.result_waiter()
    looks: list[int] = []
    make_look = waiter._make_look

    class Counting:
        def execute(self, ids: Any) -> Any:
            looks.append(len(ids))
            return make_look().execute(ids)

    waiter._make_look = Counting  # type: ignore[assignment]  # it has the one form that is called
    waiting = asyncio.gather(*(handle.aresult(timeout=60) for handle in handles))
    await soon(lambda: sum(looks) >= 500, what="all are looked at")
    looked_before = len(looks)
    async with rig.working():
        results = await waiting

    assert [Number(2 * number) for number in range(500)] == results
    assert looked_before < 50
    assert len(looks) < 250


async def test_a_task_that_did_not_complete_says_why(rig: Rig) -> None:
    """Failed with its error, or cancelled, by an operator while somebody waits too."""

    async def breaks(payload: Any, context: TaskContext) -> None:
        raise ValueError("no such mailbox")

    failing = rig.jobs.define("fail", max_attempts=1)(breaks)
    double = doubling(rig)
    async with rig.working():
        failed = await failing.aenqueue(None)
        cancelled = await double.aenqueue(Number(1), delay=1000)
        waiting = asyncio.gather(failed.aresult(timeout=10), cancelled.aresult(timeout=10), return_exceptions=True)
        await asyncio.sleep(0)
        await rig.tasks.cancel_task().aexecute(cancelled.id)
        errors = await waiting

    assert [TaskDidNotComplete, TaskDidNotComplete] == [type(error) for error in errors]
    assert [(TaskStatus.FAILED, "ValueError: no such mailbox"), (TaskStatus.CANCELLED, None)] == [
        (error.status, error.error) for error in errors if isinstance(error, TaskDidNotComplete)
    ]


@pytest.mark.parametrize("timeout", [0, 0.1])
async def test_a_task_that_takes_longer_has_not_finished(rig: Rig, timeout: float) -> None:
    """The error says how the task stands, and it may be asked again; 0 is one look."""
    double = doubling(rig)
    task = await double.aenqueue(Number(1))

    with pytest.raises(TaskNotFinished) as late:
        await task.aresult(timeout=timeout)
    with pytest.raises(TaskNotFinished):
        await asyncio.to_thread(task.result, timeout)
    await rig.tasks.worker().drain()

    assert (task.id, TaskStatus.PENDING) == (late.value.task_id, late.value.status)
    assert isinstance(late.value, TimeoutError)
    assert Number(2) == await task.aresult(timeout=timeout)
    assert Number(2) == await asyncio.to_thread(task.result, timeout)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "soon", None, True])
async def test_a_timeout_that_is_none_is_refused(rig: Rig, timeout: Any) -> None:
    """Before anything is asked."""
    task = await doubling(rig).aenqueue(Number(1))

    with pytest.raises(InvalidInput) as refused:
        await task.aresult(timeout=timeout)
    with pytest.raises(InvalidInput):
        await asyncio.to_thread(task.result, timeout)

    assert "timeout" == refused.value.field


async def test_a_result_is_not_waited_for_where_that_blocks_the_loop(rig: Rig) -> None:
    """In a running event loop, which may be the very one that should run the task."""
    task = await doubling(rig).aenqueue(Number(1))

    with pytest.raises(LoopIsRunning, match=r"await task\.aresult\(\)"):
        task.result(timeout=10)


async def test_a_task_that_is_gone_has_no_result(rig: Rig) -> None:
    """Removed, before it is asked for or while somebody waits."""
    double = doubling(rig)
    gone = await double.aenqueue(Number(1))
    await rig.tasks.worker().drain()
    await rig.tasks.cleanup_tasks().aexecute(older_than=0)

    for timeout in (0, 10):
        with pytest.raises(ResultExpired) as expired:
            await gone.aresult(timeout=timeout)
        assert gone.id == expired.value.task_id


async def test_a_stored_result_that_no_longer_fits_its_model_says_so(rig: Rig) -> None:
    """The model changed since: a typed error with the model's words, and the task can still be read."""

    async def answers(payload: Any, context: TaskContext) -> Any:
        return {"value": "many"}

    rig.jobs.define("count")(answers)
    task = rig.enqueue("count")
    await rig.tasks.worker().drain()
    later = doubling(rig, "count:now")
    later.type = "count"

    with pytest.raises(Unfit) as unfit:
        await (await later.ahandle_of(task.id)).aresult(timeout=5)

    assert ("result", {"value": "many"}) == (unfit.value.field, unfit.value.value)
    assert "value" in unfit.value.rule


async def test_a_handle_is_made_of_an_id(rig: Rig) -> None:
    """As text too; of a task that is there, and is this job's."""
    double, other = doubling(rig), doubling(rig, "other")
    task = await double.aenqueue(Number(3))
    await rig.tasks.worker().drain()

    handle = await asyncio.to_thread(double.handle_of, str(task.id))

    assert Number(6) == await handle.aresult(timeout=0)
    assert Number(6) == await (await double.ahandle_of(task.id)).aresult(timeout=10)
    with pytest.raises(TaskNotFound):
        await double.ahandle_of(uuid4())
    with pytest.raises(InvalidInput, match="must be a UUID"):
        await double.ahandle_of("7")
    with pytest.raises(InvalidInput, match="must be that of a task of 'other', not 'double'"):
        await other.ahandle_of(task.id)


async def test_whoever_stops_waiting_leaves_nothing_behind(rig: Rig) -> None:
    """Cancelled or late, a caller is forgotten, and another goes on waiting for the same task."""
    double = doubling(rig)
    task = await double.aenqueue(Number(1))
    waiter = rig.tasks.result_waiter()
    cancelled, stays = asyncio.create_task(task.aresult(60)), asyncio.create_task(task.aresult(60))
    await soon(lambda: len(waiter._waits.get(task.id, ())) == 2, what="both wait")

    cancelled.cancel()
    await asyncio.wait({cancelled})
    left = len(waiter._waits[task.id])
    await rig.tasks.worker().drain()

    assert (1, Number(2), {}) == (left, await stays, waiter._waits)


async def test_closing_the_container_ends_the_waiting(rig: Rig) -> None:
    """Nobody is left waiting for what can no longer come."""
    task = await doubling(rig).aenqueue(Number(1))
    waiting = asyncio.create_task(task.aresult(60))
    waiter = rig.tasks.result_waiter()
    await soon(lambda: waiter._notifications is not None, what="it waits")

    await asyncio.to_thread(waiter.close)

    with pytest.raises(Exception, match="closed while a result was waited for"):
        await waiting
    assert not [one.name for one in threading.enumerate() if one.name == "app-notifications"]


@pytest.mark.parametrize("broken", ["_make_look", "_make_notifications"])
async def test_an_error_in_the_waiter_does_not_end_the_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """What could not be made is made later, for those who wait already and for those who come."""
    double = doubling(rig)
    waiter = rig.tasks.result_waiter()
    make, calls = getattr(waiter, broken), []

    def fails_once() -> Any:
        calls.append(broken)
        if len(calls) == 1:
            raise RuntimeError("can't start new thread")
        return make()

    monkeypatch.setattr(waiter, broken, fails_once)
    first = await double.aenqueue(Number(1))
    waiting = asyncio.create_task(first.aresult(timeout=10))
    await soon(lambda: calls, what="it fails")
    async with rig.working():
        results = [await waiting, await (await double.aenqueue(Number(2))).aresult(timeout=10)]

    assert [Number(2), Number(4)] == results


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_waiter_whose_thread_has_ended_gets_another(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what no guard holds up, or because there was none to be had: the next who waits starts one."""
    task = await doubling(rig).aenqueue(Number(1))
    await rig.tasks.worker().drain()
    waiter = rig.tasks.result_waiter()

    def ends() -> Any:
        raise SystemExit

    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            waiter._join(task.id, 1)
    with monkeypatch.context() as broken:
        broken.setattr(waiter, "_make_look", ends)
        with pytest.raises(DatabaseUnavailable):
            await waiter.await_(task.id, 0)

    assert {"value": 2} == (await waiter.await_(task.id, 10)).result
