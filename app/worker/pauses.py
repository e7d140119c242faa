"""Pauses: how the worker's loops bound their database calls, and wait between tries while it is away."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.domain.errors import DatabaseUnavailable, SchemaMismatch

R = TypeVar("R")

_log = logging.getLogger("app.worker")

CALL_TIMEOUT = 30.0
"""Seconds a database call of a loop may take; a server that hangs is treated as one that is away."""
_FIRST, _LONGEST = 0.1, 2.0
"""Short, so that due work resumes within five seconds of the database being back."""


class Pauses:
    """The growing, jittered wait of one loop between its tries; says once that it waits and once that it goes on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = _FIRST
        self._failing = False

    def failed(self, error: BaseException) -> float:
        """Note a failure and answer how many seconds to wait."""
        if not self._failing:
            expected = isinstance(error, DatabaseUnavailable | SchemaMismatch | TimeoutError)
            _log.warning(
                "%s: %s; trying again until it works",
                self._name,
                str(error) or type(error).__name__,
                exc_info=None if expected else error,
            )
        self._failing = True
        pause = self._next * random.uniform(0.5, 1)
        self._next = min(self._next * 2, _LONGEST)
        return pause

    def succeeded(self) -> None:
        if self._failing:
            _log.info("%s: works again", self._name)
        self._failing = False
        self._next = _FIRST


async def bounded(call: Awaitable[R]) -> R:
    """The answer of a database call, or DatabaseUnavailable after half a minute without one."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT):
            return await call
    except TimeoutError as error:
        raise DatabaseUnavailable(f"no answer within {CALL_TIMEOUT:g} s", outcome_unknown=True) from error


async def until_done(
    name: str,
    call: Callable[[], Awaitable[R]],
    stopping: asyncio.Event,
    despite: type[Exception] = DatabaseUnavailable,
) -> R | None:
    """Try *call*, *despite* such errors, until the database lets it through; None when told to stop meanwhile."""
    pauses = Pauses(name)
    while not stopping.is_set():
        try:
            return await bounded(call())
        except despite as error:
            await waited(stopping, pauses.failed(error))
    return None


async def waited(event: asyncio.Event, seconds: float) -> bool:
    """Wait for *event*, at most *seconds*; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
