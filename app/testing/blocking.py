"""Blocking: asynchronous work waited for by a plain call, from wherever it is made."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")


def finished(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """What *work* returns, run on a loop of its own: in this thread or, where a loop runs here already, in another.

    That loop stands still meanwhile.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    variables = contextvars.copy_context()
    with ThreadPoolExecutor(1, "app-testing") as thread:
        return thread.submit(variables.run, lambda: asyncio.run(work())).result()
