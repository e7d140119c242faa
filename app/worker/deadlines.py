"""Deadlines: when attempts run out of time, with one timer of the loop for each length of timeout."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

A = TypeVar("A")


class Deadlines(Generic[A]):
    """Calls *on_late* with whoever is still here when its seconds have passed.

    Those with the same timeout run out in the order they came, so the first of them is all that a timer need know: to
    come and to go costs a dict's insertion and deletion, and not a timer of one's own. Used on one event loop.
    """

    def __init__(self, on_late: Callable[[A], None]) -> None:
        self._on_late = on_late
        self._waiting: dict[float, dict[A, float]] = {}

    def add(self, one: A, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        waiting, at = self._waiting.get(seconds), loop.time() + seconds
        if waiting is not None:
            waiting[one] = at
            return
        self._waiting[seconds] = {one: at}
        loop.call_at(at, self._look, seconds, loop)

    def remove(self, one: A, seconds: float) -> None:
        """Forget *one*, which was added with so many *seconds*, if it is still here."""
        if (waiting := self._waiting.get(seconds)) is not None:
            waiting.pop(one, None)

    def _look(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        waiting, now = self._waiting[seconds], loop.time()
        late = []
        for one, at in waiting.items():
            if at > now:
                loop.call_at(at, self._look, seconds, loop)
                break
            late.append(one)
        for one in late:
            del waiting[one]
        if not waiting:
            # The last of them takes the timer along; it would fire for nobody for ever otherwise.
            del self._waiting[seconds]
        for one in late:
            self._on_late(one)
