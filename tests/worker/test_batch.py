"""Batch jobs: each item once, however many attempts it takes."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from app import (
    BatchJob,
    BatchResult,
    ItemsFailed,
    Outcome,
    TaskContext,
    TaskStatus,
)
from tests.faults.waiting import soon
from tests.worker.batches import AGAIN, KINDS, Doing, InThreads, Numbers, OnTheLoop, enqueue
from tests.worker.running import Rig


@pytest.mark.parametrize("kind", KINDS)
async def test_every_item_is_done_once(rig: Rig, kind: type[Doing]) -> None:
    """The result has what each returned, and progress says that all are done."""
    job = rig.jobs.add(kind())
    handle = job.enqueue(Numbers(50, []))

    await rig.tasks.worker().drain()
    found, result = rig.find(handle.task), await handle.aresult()

    assert dict.fromkeys(range(50), 1) == job.runs
    assert BatchResult(total=50, succeeded=50, results={item: item * 2 for item in range(50)}) == result
    assert (100, "50 of 50", None) == (found.progress, found.progress_message, found.checkpoint)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_retry_runs_the_items_that_failed(rig: Rig, kind: type[Doing]) -> None:
    """All others are run by the first attempt alone, and what they returned is in the result."""
    job = rig.jobs.add(kind())
    task = enqueue(rig, 50, 7, 31, max_attempts=3)

    def cure(sender: str, event: Any) -> None:
        job.cured = event.task.attempts == 2

    rig.tasks.signals().failed.connect(cure)
    found = await rig.drained(task)

    assert (TaskStatus.COMPLETED, 3) == (found.status, found.attempts)
    assert {item: 3 if item in (7, 31) else 1 for item in range(50)} == job.runs
    assert {str(item): item * 2 for item in range(50)} == found.result["results"]
    assert ["app.domain.jobs.batch.ItemsFailed"] * 2 == [error.type for error in found.errors]
    assert "2 of 50 items failed: item 7: ValueError: 7 is bad; item 31: ValueError: 31 is bad" == (
        found.errors[0].message
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_batch_that_fails_for_the_last_time_says_which_items(rig: Rig, kind: type[Doing]) -> None:
    """In the error, and item by item for whoever asks; a retry by hand runs what is not done."""
    job = rig.jobs.add(kind())
    task = await rig.drained(enqueue(rig, 20, 3, 5, max_attempts=2))
    failed = job.so_far(task)

    job.cured = True
    rig.tasks.retry_task().execute(task.id)
    found = await rig.drained(task)

    assert TaskStatus.FAILED is task.status
    assert "2 of 20 items failed" in (task.error or "")
    assert failed is not None
    assert (20, 18, 2) == (failed.total, failed.succeeded, failed.failed)
    assert {3: "ValueError: 3 is bad", 5: "ValueError: 5 is bad"} == failed.errors
    assert 18 == len(failed.results)
    assert (TaskStatus.COMPLETED, {1: 18, 3: 2}) == (found.status, Counter(job.runs.values()))
    assert 20 == len(found.result["results"])


@pytest.mark.parametrize("kind", ["threads", "loop"])
async def test_as_many_items_run_at_once_as_was_said(rig: Rig, kind: str) -> None:
    """And no more, in threads and on the loop."""
    three = threading.Barrier(3)

    class ThreeThreads(InThreads):
        concurrency = 3

        def do(self, item: int) -> int:
            three.wait(10)
            return super().do(item)

    class ThreeOnTheLoop(OnTheLoop):
        concurrency = 3

        async def process(self, item: int, context: TaskContext) -> int:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.to_thread(three.wait, 10)
            self.at_once -= 1
            return self.do(item)

    job = rig.jobs.add(ThreeThreads() if kind == "threads" else ThreeOnTheLoop())
    found = await rig.drained(enqueue(rig, 30))

    assert (TaskStatus.COMPLETED, 1, 3) == (found.status, found.attempts, job.most_at_once)


async def test_items_are_given_in_batches(rig: Rig) -> None:
    """Full ones, but for the last; a call that raises fails all of its items, and one that returns None none."""
    given: list[list[int]] = []

    class Batches(BatchJob[int, int, None]):
        batch_size = 4
        concurrency = 1

        def items(self, payload: int, context: TaskContext) -> range:
            return range(payload)

        def process_batch(self, items: Sequence[int], context: TaskContext) -> None:
            given.append(list(items))
            if len(given) == 2:
                raise ConnectionError("away")

    rig.jobs.add(Batches("batches", retry=AGAIN))
    found = await rig.drained(rig.enqueue("batches", 10))

    assert [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [4, 5, 6, 7]] == given
    assert (TaskStatus.COMPLETED, 2) == (found.status, found.attempts)
    assert found.errors[0].message.startswith("4 of 10 items failed: item 4: ConnectionError: away; item 5: ")
    assert found.errors[0].message.endswith("and 1 more")


@pytest.mark.parametrize("kind", ["generator", "coroutine", "async generator", "nothing"])
async def test_items_are_listed_in_any_way(rig: Rig, kind: str) -> None:
    """By a generator in a thread, by a coroutine, by an asynchronous generator; an empty list is done at once."""
    done: list[str] = []
    where: list[int] = []

    class Base(BatchJob[None, str, None]):
        async def process(self, item: str, context: TaskContext) -> None:
            done.append(item)

    class Generator(Base):
        def items(self, payload: None, context: TaskContext) -> Iterator[str]:
            where.append(threading.get_ident())
            yield from ("a", "b")

    class Coroutine(Base):
        async def items(self, payload: None, context: TaskContext) -> list[str]:
            return ["a", "b"]

    class Asynchronous(Base):
        async def items(self, payload: None, context: TaskContext) -> AsyncIterator[str]:
            for item in ("a", "b"):
                yield item

    class Nothing(Base):
        def items(self, payload: None, context: TaskContext) -> list[str]:
            return []

    kinds = {"generator": Generator, "coroutine": Coroutine, "async generator": Asynchronous, "nothing": Nothing}
    rig.jobs.add(kinds[kind]("listing"))
    found = await rig.drained(rig.enqueue("listing"))

    assert (TaskStatus.COMPLETED, [] if kind == "nothing" else ["a", "b"]) == (found.status, done)
    assert threading.get_ident() not in where


async def test_progress_tells_how_many_are_done(rig: Rig) -> None:
    """In percent and words, while the batch runs."""
    job = rig.jobs.add(InThreads())
    job.concurrency = 1
    goes_on = threading.Event()
    do = job.do

    def hold(item: int) -> int:
        if item == 5:
            goes_on.wait(10)
        return do(item)

    job.do = hold  # type: ignore[method-assign]  # the fifth waits for us
    task = enqueue(rig, 20)
    async with rig.working():
        await soon(lambda: rig.find(task).progress_message == "5 of 20", what="progress is stored")
        found = rig.find(task)
        goes_on.set()
        await rig.until(task, TaskStatus.COMPLETED)

    assert (TaskStatus.RUNNING, 25) == (found.status, found.progress)
    assert 5 == found.checkpoint["succeeded"]


async def test_results_beyond_the_cap_are_counted_and_left_out(rig: Rig) -> None:
    """The items are done all the same."""

    class Long(BatchJob[int, int, str]):
        def items(self, payload: int, context: TaskContext) -> range:
            return range(payload)

        async def process(self, item: int, context: TaskContext) -> str:
            return "x" * 100_000

    job = rig.jobs.add(Long("long"))
    handle = job.enqueue(10)
    await rig.tasks.worker().drain()
    result = await handle.aresult()

    assert (10, 10, [0, 1], 8) == (result.total, result.succeeded, list(result.results), result.left_out)


async def test_a_batch_runs_here_and_now(rig: Rig) -> None:
    """With nothing stored, and its failures in the outcome."""
    job = rig.jobs.add(InThreads())

    good: Outcome[BatchResult[int]] = await job.arun(Numbers(3, []))
    bad = await job.arun(Numbers(3, [1]))

    assert BatchResult(total=3, succeeded=3, results={0: 0, 1: 2, 2: 4}) == good.result
    assert isinstance(bad.error, ItemsFailed)
    assert (2, 1, {1: "ValueError: 1 is bad"}) == (
        bad.error.result.succeeded,
        bad.error.result.failed,
        bad.error.result.errors,
    )


async def test_a_batch_has_services_and_hooks_as_other_jobs_have(rig: Rig) -> None:
    """What items and process ask for they get, and hooks are called once for each attempt."""
    called: list[Any] = []

    class Served(BatchJob[int, int, None]):
        def items(self, payload: int, context: TaskContext, source: str = "default") -> range:
            return range(payload)

        async def process(self, item: int, context: TaskContext) -> None:
            called.append(item)

        def before_execute(self, payload: int, context: TaskContext) -> None:
            called.append("before")

        async def after_execute(self, payload: int, context: TaskContext, result: BatchResult[None]) -> None:
            called.append(result.succeeded)

    rig.jobs.add(Served("served"))
    found = await rig.drained(rig.enqueue("served", 2))

    assert TaskStatus.COMPLETED is found.status
    assert ["before", 0, 1, 2] == called
