"""Running a piece of work in many threads at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def in_parallel(threads: int, work: Callable[[int], R]) -> list[R]:
    """``work(0) … work(threads - 1)``, all let go at the same moment; the results in that order."""
    gate = threading.Barrier(threads)

    def one(number: int) -> R:
        gate.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))
