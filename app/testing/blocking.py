"""Blocking: asynchronous work waited for by a plain call, from wherever it is made."""

import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from app.domain.jobs.errors import LoopIsRunning
from app.worker.own_loop import in_own_loop

R = TypeVar("R")


def finished(work: Callable[[], Coroutine[Any, Any, R]], *, called: str) -> R:
    """What *work* returns, run on a loop of its own: in this thread or, where a loop runs here already, in another.

    That loop stands still meanwhile.
    """
    run = partial(in_own_loop, work, called=called, instead=f"a{called}")
    try:
        return run()
    except LoopIsRunning:
        variables = contextvars.copy_context()
        with ThreadPoolExecutor(1, "app-testing") as thread:
            return thread.submit(variables.run, run).result()
