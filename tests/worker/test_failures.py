"""Whatever a handler raises or returns ends its own attempt, and nothing else."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from app import Constant, TaskContext, TaskStatus
from tests.worker.running import Rig

MEGABYTE = 1_000_000


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Rude(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


def _ring() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def _deep(levels: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(levels):
        deep = [deep]
    return deep


RESULTS: dict[str, Callable[[], Any]] = {
    "NaN": lambda: {"mean": math.nan},
    "infinity": lambda: [math.inf],
    "NUL": lambda: "a\0b",
    "NUL in a key": lambda: {"a\0": 1},
    "object": object,
    "bytes": lambda: b"raw",
    "set": lambda: {1, 2},
    "2 MiB": lambda: "x" * 2**21,
    "lone surrogate": lambda: "\ud800",
    "number as a key": lambda: {1: 2},
    "5000 digits": lambda: 10**5000,
    "itself": _ring,
    "deeper than anybody reads": lambda: _deep(100_000),
}

ERRORS: dict[str, Callable[[], BaseException]] = {
    "NUL": lambda: ValueError("a\0b"),
    "bytes": lambda: ValueError(b"\xff\x00raw"),
    "lone surrogate": lambda: ValueError("\ud800 \udfff"),
    "50 MB": lambda: ValueError("é" * (50 * MEGABYTE)),
    "no str": Mute,
    "rude str": Rude,
    "SystemExit": lambda: SystemExit(1),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "group": lambda: ExceptionGroup("many", [ValueError("one"), KeyError("two")]),
    "base group": lambda: BaseExceptionGroup("many", [SystemExit(1), ValueError("two\0")]),
    "recursion": lambda: RecursionError("too deep"),
    "memory": MemoryError,
    "odd class": lambda: type("Ödd\0\ud800", (Exception,), {"__module__": None})("x"),
}


async def test_a_result_that_cannot_be_stored_fails_only_its_own_task(rig: Rig) -> None:
    """Thirteen of them among fifty ordinary ones: those complete, these fail at once and say which value it was."""
    rig.define("good", _answer)
    rig.define("bad", _bad_result)
    rig.define("bad:thread", lambda name, context: RESULTS[name]())
    good = [rig.enqueue("good", number) for number in range(25)]
    bad = {name: rig.enqueue("bad", name) for name in RESULTS} | {
        f"{name} in a thread": rig.enqueue("bad:thread", name) for name in RESULTS
    }
    good += [rig.enqueue("good", number) for number in range(25, 50)]

    attempts = await rig.tasks.worker().drain()

    assert 50 + len(bad) == attempts
    assert list(range(50)) == [rig.find(task).result for task in good]
    found = {name: rig.find(task) for name, task in bad.items()}
    assert dict.fromkeys(bad, (TaskStatus.FAILED, 1, None)) == {
        name: (task.status, task.attempts, task.result) for name, task in found.items()
    }
    assert all("returned what cannot be stored: result" in (task.error or "") for task in found.values())


async def _answer(payload: Any, context: TaskContext) -> Any:
    return payload


async def _bad_result(payload: Any, context: TaskContext) -> Any:
    return RESULTS[payload]()


async def test_whatever_is_raised_is_a_failed_attempt(rig: Rig) -> None:
    """The worker goes on, the error is kept, cleaned and capped, and the next attempt may do better."""

    async def on_the_loop(name: str, context: TaskContext) -> str:
        if context.task.attempts == 1:
            raise ERRORS[name]()
        return "better"

    def in_a_thread(name: str, context: TaskContext) -> str:
        if context.task.attempts == 1:
            raise ERRORS[name]()
        return "better"

    rig.define("loop", on_the_loop, retry=Constant(0))
    rig.define("thread", in_a_thread, retry=Constant(0))
    tasks = {f"{name}, {type}": rig.enqueue(type, name) for name in ERRORS for type in ("loop", "thread")}

    attempts = await rig.tasks.worker().drain()

    found = {name: rig.find(task) for name, task in tasks.items()}
    assert dict.fromkeys(tasks, (TaskStatus.COMPLETED, 2, 1, "better")) == {
        name: (task.status, task.attempts, len(task.errors), task.result) for name, task in found.items()
    }
    assert 2 * len(tasks) == attempts
    assert max(len(task.errors[0].message) for task in found.values()) < 5_000
    assert max(len(task.errors[0].traceback) for task in found.values()) < 25_000
    assert "ValueError" == found["NUL, loop"].errors[0].type
    assert "a\N{REPLACEMENT CHARACTER}b" == found["NUL, loop"].errors[0].message
    assert "KeyError" in found["group, thread"].errors[0].traceback


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "CancelledError", "Rude str"])
async def test_the_worker_runs_on_after_an_error_that_ends_programs(rig: Rig, name: str) -> None:
    """A task enqueued after it is run by the same worker."""
    error = ERRORS.get(name, Rude)

    async def ends_programs(payload: Any, context: TaskContext) -> None:
        raise error()

    rig.define("last", ends_programs)
    rig.define("next", _answer)
    async with rig.working() as worker:
        first = rig.enqueue("last", max_attempts=1)
        await rig.until(first, TaskStatus.FAILED)
        second = rig.enqueue("next", 7)
        found = await rig.until(second, TaskStatus.COMPLETED)
        assert (7, worker.id) == (found.result, found.worker_id)


async def test_a_handler_that_cancels_itself_has_failed(rig: Rig) -> None:
    """Cancelled by nobody else, it is an attempt like any other that raised."""

    async def cancels(payload: Any, context: TaskContext) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    found = await rig.ran(cancels, max_attempts=1)

    assert TaskStatus.FAILED is found.status
    assert "CancelledError" in (found.error or "")
