"""How attempts at a batch end: what is remembered, and what is begun no more."""

import asyncio
import threading
from typing import Any

import pytest

from app import (
    BatchJob,
    CancelTask,
    FailForGood,
    Snooze,
    TaskContext,
    TaskStatus,
)
from tests.faults.waiting import eventually, soon
from tests.worker.batches import AGAIN, Doing, Numbers, OnTheLoop, enqueue
from tests.worker.running import Rig


async def test_stop_ends_the_batch_at_the_first_item_that_fails(rig: Rig) -> None:
    """Nothing is begun after it, and the retry runs it and the rest."""

    class Stopping(OnTheLoop):
        concurrency = 1
        on_item_error = "stop"

    job = rig.jobs.add(Stopping())
    task = enqueue(rig, 10, 4, max_attempts=2)
    seen: list[int] = []

    def cure(sender: str, event: Any) -> None:
        seen.append(len(job.runs))
        job.cured = True

    rig.tasks.signals().failed.connect(cure)
    found = await rig.drained(task)

    assert [5] == seen
    assert "1 of 10 items failed, 5 were not run: item 4: ValueError: 4 is bad" == found.errors[0].message
    assert (TaskStatus.COMPLETED, {item: 2 if item == 4 else 1 for item in range(10)}) == (found.status, job.runs)


async def test_another_list_than_before_fails_the_task_for_good(rig: Rig) -> None:
    """What is done is known by its place: nothing is run when the places cannot be the same."""

    class Shrinking(OnTheLoop):
        def items(self, payload: Numbers, context: TaskContext) -> range:
            self.bad = {0}
            return range(payload.count - context.task.attempts)

    job = rig.jobs.add(Shrinking())
    found = await rig.drained(enqueue(rig, 10, max_attempts=5))

    assert (TaskStatus.FAILED, 2, 9) == (found.status, found.attempts, sum(job.runs.values()))
    assert "items() has listed 8 items, and 9 in an earlier attempt" in (found.error or "")


@pytest.mark.parametrize("answer", [CancelTask("no need"), Snooze(60), FailForGood("no way")])
async def test_what_an_item_answers_is_about_the_task(rig: Rig, answer: Exception) -> None:
    """Nothing is begun after it, and what is done is remembered."""

    class Answering(OnTheLoop):
        concurrency = 1

        async def process(self, item: int, context: TaskContext) -> int:
            if item == 3:
                raise answer
            return self.do(item)

    job = rig.jobs.add(Answering())
    found = await rig.drained(enqueue(rig, 10))
    so_far = job.so_far(found)

    expected = {CancelTask: TaskStatus.CANCELLED, Snooze: TaskStatus.PENDING, FailForGood: TaskStatus.FAILED}
    assert (expected[type(answer)], 3) == (found.status, sum(job.runs.values()))
    assert so_far is not None
    assert (3, 0) == (so_far.succeeded, so_far.failed)


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
async def test_an_item_may_raise_anything(rig: Rig, error: type[BaseException]) -> None:
    """It is that item's failure, and neither the attempt's end nor the worker's."""

    class Odd(OnTheLoop):
        async def process(self, item: int, context: TaskContext) -> int:
            if item == 3 and context.task.attempts == 1:
                raise error
            return self.do(item)

    job = rig.jobs.add(Odd())
    found = await rig.drained(enqueue(rig, 10))

    assert (TaskStatus.COMPLETED, 2, 10) == (found.status, found.attempts, sum(job.runs.values()))
    assert error.__name__ in found.errors[0].message


async def test_items_that_were_done_before_a_timeout_are_not_done_again(rig: Rig) -> None:
    """The attempt has failed, and the next one begins where it was."""

    class Slow(OnTheLoop):
        concurrency = 2

        async def process(self, item: int, context: TaskContext) -> int:
            if item == 6 and context.task.attempts == 1:
                await asyncio.sleep(60)
            return self.do(item)

    job = rig.jobs.add(Slow())
    found = await rig.drained(enqueue(rig, 10, timeout=0.5))

    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert dict.fromkeys(range(10), 1) == job.runs
    assert found.errors[0].type.endswith("AttemptTimedOut")


async def test_items_that_end_after_a_timeout_are_remembered_while_others_cannot_be_stopped(rig: Rig) -> None:
    """As long as the attempt is not left: of two that end shortly after one another, the second one too."""
    goes_on = threading.Event()

    class Stuck(Doing):
        def process(self, item: int, context: TaskContext) -> int:
            if context.task.attempts == 2:
                goes_on.set()
            elif item == 0:
                goes_on.wait(10)
            else:
                eventually(context.is_shutting_down, what="the timeout")
                if item == 2:
                    eventually(lambda: context.checkpoint is not None, what="the first one is remembered")
            return self.do(item)

    job = rig.jobs.add(Stuck())
    found = await rig.drained(enqueue(rig, 3, timeout=0.3))

    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert {0: 2, 1: 1, 2: 1} == job.runs


@pytest.mark.parametrize("kind", ["thread", "loop"])
async def test_a_worker_that_stops_leaves_the_rest_to_another(rig: Rig, kind: str) -> None:
    """It lets the items under way end and begins no other; none is done twice and no attempt is spent."""
    began, goes_on = threading.Event(), threading.Event()

    def hold(job: Doing, item: int) -> int:
        if item == 5:
            began.set()
            goes_on.wait(10)
        return job.do(item)

    class InThread(Doing):
        concurrency = 1

        def process(self, item: int, context: TaskContext) -> int:
            return hold(self, item)

    class OnLoop(Doing):
        concurrency = 1

        async def process(self, item: int, context: TaskContext) -> int:
            return await asyncio.to_thread(hold, self, item)

    job = rig.jobs.add(InThread() if kind == "thread" else OnLoop())
    task = enqueue(rig, 20)
    async with rig.working() as worker:
        await soon(began.is_set, what="the sixth item begins")
        worker.stop()
        goes_on.set()
        # Before the rig stops it once more, which would hurry it.
        left = await rig.until(task, TaskStatus.PENDING)
    so_far = job.so_far(left)
    found = await rig.drained(task)

    assert (TaskStatus.PENDING, 0) == (left.status, left.attempts)
    assert so_far is not None
    assert 6 == so_far.succeeded
    assert (TaskStatus.COMPLETED, 1, []) == (found.status, found.attempts, found.errors)
    assert dict.fromkeys(range(20), 1) == job.runs


async def test_an_attempt_that_is_given_back_remembers_its_items(rig: Rig) -> None:
    """A worker in a hurry cancels what runs, and the next attempt does only what had not ended."""

    class Hanging(OnTheLoop):
        concurrency = 1

        async def process(self, item: int, context: TaskContext) -> int:
            if item == 5 and not self.cured:
                self.lock.acquire()
                await asyncio.sleep(60)
            return self.do(item)

    job = rig.jobs.add(Hanging())
    task = enqueue(rig, 20)
    async with rig.working() as worker:
        await soon(job.lock.locked, what="the sixth item hangs")
        worker.stop()
        worker.stop()
    job.lock.release()
    job.cured = True
    left = rig.find(task)
    found = await rig.drained(task)

    assert (TaskStatus.PENDING, 0, "5 of 20") == (left.status, left.attempts, left.progress_message)
    assert (TaskStatus.COMPLETED, 1) == (found.status, found.attempts)
    assert dict.fromkeys(range(20), 1) == job.runs


@pytest.mark.parametrize("kind", ["thread", "loop"])
async def test_items_have_no_session_of_the_attempt(rig: Rig, kind: str) -> None:
    """Rolled back with a failed attempt, it would take along what is remembered as done."""

    class InThread(Doing):
        def process(self, item: int, context: TaskContext) -> int:
            return int(context.session.execute(None))

    class OnLoop(Doing):
        async def process(self, item: int, context: TaskContext) -> int:
            return int(await context.session.execute(None))

    rig.jobs.add(InThread() if kind == "thread" else OnLoop())
    found = await rig.drained(enqueue(rig, 2, max_attempts=1))

    assert "2 of 2 items failed: item 0: NoSessionForItems:" in (found.error or "")
    assert "open a session per item, from a service" in (found.error or "")


async def test_a_result_that_does_not_fit_fails_the_task_for_good(rig: Rig) -> None:
    """Another attempt would bring the same again; the message says that the item was done."""

    class Wrong(BatchJob[int, int, int]):
        def items(self, payload: int, context: TaskContext) -> range:
            return range(payload)

        async def process(self, item: int, context: TaskContext) -> int:
            return "seven"  # type: ignore[return-value]  # what the test is about

    rig.jobs.add(Wrong("wrong"))
    found = await rig.drained(rig.enqueue("wrong", 1))

    assert (TaskStatus.FAILED, 1) == (found.status, found.attempts)
    assert "with all its effects" in (found.error or "")
    assert "result of item 0" in (found.error or "")


async def test_any_handler_may_save_a_checkpoint(rig: Rig) -> None:
    """The next attempt finds it; in a thread too; and what is no JSON is refused to the handler's face."""
    found_by: list[Any] = []

    def handler(payload: Any, context: TaskContext) -> None:
        found_by.append(context.checkpoint)
        given = {"page": context.task.attempts}
        context.save_checkpoint(given)
        given["page"] = -1
        found_by.append(context.checkpoint)
        if context.task.attempts < 3:
            raise ValueError("on the way")
        context.save_checkpoint({1, 2})

    found = await rig.ran(handler, retry=AGAIN, max_attempts=3)

    assert [None, {"page": 1}, {"page": 1}, {"page": 2}, {"page": 2}, {"page": 3}] == found_by
    assert (TaskStatus.FAILED, {"page": 3}) == (found.status, found.checkpoint)
    assert "checkpoint" in (found.error or "")
