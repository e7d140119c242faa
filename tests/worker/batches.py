"""The batch jobs that these tests run: they count how often each item is done."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app import (
    BatchJob,
    Constant,
    TaskContext,
    WorkerTask,
)
from tests.worker.running import Rig

AGAIN = Constant(0)


@dataclass
class Numbers:
    """The payload: the numbers up to ``count``, of which some are bad."""

    count: int
    bad: list[int]


class Doing(BatchJob[Numbers, int, int]):
    """Counts how often each number is done, and doubles it; a bad one fails until it is ``cured``."""

    def __init__(self, type: str = "doing", **options: Any) -> None:
        super().__init__(type, **{"retry": AGAIN} | options)
        self.runs: Counter[int] = Counter()
        self.bad: set[int] = set()
        self.cured = False
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def items(self, payload: Numbers, context: TaskContext) -> range:
        self.bad = set(payload.bad)
        return range(payload.count)

    def do(self, item: int) -> int:
        with self.lock:
            self.runs[item] += 1
        if item in self.bad and not self.cured:
            raise ValueError(f"{item} is bad")
        return item * 2


class InThreads(Doing):
    def process(self, item: int, context: TaskContext) -> int:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self.do(item)
        finally:
            with self.lock:
                self.at_once -= 1


class OnTheLoop(Doing):
    async def process(self, item: int, context: TaskContext) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            return self.do(item)
        finally:
            self.at_once -= 1


class InBatches(Doing):
    batch_size = 4

    async def process_batch(self, items: Sequence[int], context: TaskContext) -> list[int | Exception]:
        def outcome(item: int) -> int | Exception:
            try:
                return self.do(item)
            except ValueError as error:
                return error

        return [outcome(item) for item in items]


KINDS = [InThreads, OnTheLoop, InBatches]


def enqueue(rig: Rig, count: int, *bad: int, **asked: Any) -> WorkerTask:
    return rig.enqueue("doing", {"count": count, "bad": list(bad)}, **asked)
