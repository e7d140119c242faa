"""What a handler may answer, and what its job's policies make of a failure."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app import CancelTask, Constant, FailForGood, RetryLater, Snooze, TaskContext, TaskQueueContainer, TaskStatus
from tests.worker.running import Rig


class Odd(Exception):
    """Raised by handlers of these tests."""


async def raising(payload: Any, context: TaskContext) -> None:
    raise Odd("so it goes")


async def test_what_a_handler_returns_is_the_result(rig: Rig) -> None:
    """From a coroutine and from a function in a thread alike."""
    rig.define("async", _async_echo)
    rig.define("sync", lambda payload, context: payload)
    given = {"to": ["ada", 1, 2.5, None, True, "ünï"]}
    tasks = [rig.enqueue("async", given), rig.enqueue("sync", given)]

    assert 2 == await rig.tasks.worker().drain()

    assert [given, given] == [rig.find(task).result for task in tasks]


async def _async_echo(payload: Any, context: TaskContext) -> Any:
    return payload


async def test_retry_later_chooses_its_own_wait(rig: Rig) -> None:
    """The attempt counts as failed, the task is due in so many seconds, whatever the job's policy says."""

    async def handler(payload: Any, context: TaskContext) -> None:
        raise RetryLater(60)

    found = await rig.ran(handler, retry=Constant(5))

    assert (TaskStatus.PENDING, 1, 1) == (found.status, found.attempts, len(found.errors))
    assert found.started_at is not None
    assert 59 < (found.scheduled_at - found.started_at).total_seconds() < 65


async def test_retry_later_ends_with_the_budget(rig: Rig) -> None:
    """It is asked for at each attempt and granted while there are attempts left."""

    async def handler(payload: Any, context: TaskContext) -> None:
        raise RetryLater(0, "not yet")

    found = await rig.ran(handler, max_attempts=3)

    assert (TaskStatus.FAILED, 3, 3) == (found.status, found.attempts, len(found.errors))
    assert "not yet" in (found.error or "")


async def test_fail_for_good_leaves_the_remaining_attempts_unused(rig: Rig) -> None:
    """The task ends failed after its first attempt, with the reason."""

    def handler(payload: Any, context: TaskContext) -> None:
        raise FailForGood("no such mailbox")

    found = await rig.ran(handler, max_attempts=5)

    assert (TaskStatus.FAILED, 1, 1) == (found.status, found.attempts, len(found.errors))
    assert "no such mailbox" in (found.error or "")


async def test_cancel_task_ends_it_without_an_error_entry(rig: Rig) -> None:
    """It is cancelled for the reason that the handler gave."""

    async def handler(payload: Any, context: TaskContext) -> None:
        raise CancelTask("the order is gone")

    found = await rig.ran(handler)

    assert (TaskStatus.CANCELLED, [], "the order is gone") == (found.status, found.errors, found.error)


async def test_a_snooze_spends_no_attempt(rig: Rig) -> None:
    """However often it is said, the budget of one attempt is there when the handler gets to work."""
    calls = 0

    async def handler(payload: Any, context: TaskContext) -> int:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise Snooze(0)
        return calls

    found = await rig.ran(handler, max_attempts=1)

    assert (TaskStatus.COMPLETED, 1, 4, []) == (found.status, found.attempts, found.result, found.errors)


async def test_a_snooze_comes_back_when_it_is_due(rig: Rig) -> None:
    """A worker that runs on knows the moment without being told."""
    calls = []

    async def handler(payload: Any, context: TaskContext) -> None:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) == 1:
            raise Snooze(timedelta(seconds=0.3).total_seconds())

    rig.define("job", handler)
    settings = rig.tasks.settings().replaced(worker_poll_interval=60)
    seldom = Rig(TaskQueueContainer(settings=settings, jobs=rig.jobs), rig.jobs)
    task = seldom.enqueue("job")
    async with seldom.working():
        await seldom.until(task, TaskStatus.COMPLETED)
    await seldom.tasks.aclose()

    assert 0.3 <= calls[1] - calls[0]


async def test_should_retry_decides_by_error(rig: Rig) -> None:
    """Of two errors one is worth another attempt, and the other ends the task."""

    async def handler(payload: Any, context: TaskContext) -> None:
        raise KeyError("a") if payload == "again" else ValueError("b")

    rig.define("job", handler, retry=Constant(0), should_retry=lambda error: isinstance(error, KeyError))
    tasks = [rig.enqueue("job", "again", max_attempts=3), rig.enqueue("job", "never", max_attempts=3)]
    await rig.tasks.worker().drain()

    assert [(TaskStatus.FAILED, 3), (TaskStatus.FAILED, 1)] == [
        (rig.find(task).status, rig.find(task).attempts) for task in tasks
    ]


async def test_a_policy_may_end_a_task(rig: Rig) -> None:
    """A custom policy is asked with the number of failures and the error; None means: no more."""
    asked: list[tuple[int, str]] = []

    def policy(failures: int, error: BaseException) -> float | None:
        asked.append((failures, str(error)))
        return 0 if failures < 2 else None

    found = await rig.ran(raising, retry=policy, max_attempts=5)

    assert [(1, "so it goes"), (2, "so it goes")] == asked
    assert (TaskStatus.FAILED, 2) == (found.status, found.attempts)


@pytest.mark.parametrize("broken", ["policy", "should_retry"])
async def test_a_policy_that_raises_costs_no_task(rig: Rig, broken: str) -> None:
    """The default one is used instead, and the failure says why."""

    def breaks(*given: object) -> Any:
        raise ZeroDivisionError("in the policy")

    policies: dict[str, Any] = {"retry": breaks} if broken == "policy" else {"should_retry": breaks}
    found = await rig.ran(raising, **policies)

    assert TaskStatus.PENDING is found.status
    assert "so it goes" in found.errors[0].message
    assert "retry policy failed" in found.errors[0].message
    assert "in the policy" in found.errors[0].message


@pytest.mark.parametrize("answer", [float("nan"), -1, "soon", True])
async def test_a_policy_that_answers_nonsense_costs_no_task(rig: Rig, answer: Any) -> None:
    """What is no number of seconds is not taken for one."""
    found = await rig.ran(raising, retry=lambda failures, error: answer)

    assert TaskStatus.PENDING is found.status
    assert "is no number of seconds" in found.errors[0].message


@pytest.mark.parametrize("broken", ["policy", "should_retry"])
async def test_a_policy_that_wants_to_end_the_process_does_not(rig: Rig, broken: str) -> None:
    """SystemExit from a policy is one more way of being broken."""

    def breaks(*given: object) -> Any:
        raise SystemExit(3)

    policies: dict[str, Any] = {"retry": breaks} if broken == "policy" else {"should_retry": breaks}
    rig.define("thread", lambda payload, context: 1 / 0, **policies)
    rig.define("loop", raising, **policies)
    tasks = [rig.enqueue("thread"), rig.enqueue("loop")]
    await rig.tasks.worker().drain()

    assert [1, 1] == [len(rig.find(task).errors) for task in tasks]
