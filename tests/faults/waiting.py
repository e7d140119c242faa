"""Waiting for a condition, with a deadline that explains itself."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

_STEP = 0.02


def eventually(
    condition: Callable[[], T], *, within: float = 10.0, what: str, log: Callable[[], str] = lambda: ""
) -> T:
    """The first true answer of *condition*; the test fails when none comes *within* so many seconds."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"expected within {within:g} s: {what}\n{log()}")
        time.sleep(_STEP)
    return answer


async def soon(condition: Callable[[], T], *, within: float = 10.0, what: str) -> T:
    """The same on a running loop, for workers that live in the test's own process."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"expected within {within:g} s: {what}")
        await asyncio.sleep(_STEP)
    return answer


def measured(text: str) -> None:
    """Tell whoever looks (``pytest -s``, or ``-rP``) how long it really took."""
    sys.stdout.write(f"\n{text}\n")
