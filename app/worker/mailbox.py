"""Mailbox: what threads have for the event loop, fetched by the loop in one go however much has come."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class Mailbox:
    """Calls on *loop*, from any thread, in the order they were put here.

    ``call_soon_threadsafe`` wakes the loop each time, by a system call that lets go of the interpreter's lock. For
    handlers that take microseconds that costs more than they do; here it is done once for all that come until the loop
    gets to look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._told = False

    def put(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the loop call *callback*. Raises RuntimeError when the loop is closed."""
        # In this order, and the other way round in _fetch: whoever finds the loop told is not too late for it.
        self._calls.append((callback, arguments))
        if self._told:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._fetch)
        except RuntimeError:
            self._told = False
            raise

    def _fetch(self) -> None:
        self._told = False
        try:
            while self._calls:
                callback, arguments = self._calls.popleft()
                callback(*arguments)
        finally:
            # One that raises is the loop's to report, as ever, and must not hold up the rest.
            if self._calls:
                self._loop.call_soon(self._fetch)
