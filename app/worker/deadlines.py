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
        self._lines: dict[float, _Line[A]] = {}

    def add(self, one: A, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        at = loop.time() + seconds
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = _Line(loop)
            line.timer = loop.call_at(at, self._look, seconds)
        line.waiting[one] = at

    def remove(self, one: A, seconds: float) -> None:
        """Forget *one*, which was added with so many *seconds*, if it is still here."""
        line = self._lines.get(seconds)
        if line is not None and line.waiting.pop(one, None) is not None and not line.waiting:
            self._end(line, seconds)

    def _look(self, seconds: float) -> None:
        line = self._lines[seconds]
        now = line.loop.time()
        late = []
        for one, at in line.waiting.items():
            if at > now:
                line.timer = line.loop.call_at(at, self._look, seconds)
                break
            late.append(one)
        for one in late:
            del line.waiting[one]
        if not line.waiting:
            self._end(line, seconds)
        for one in late:
            self._on_late(one)

    def _end(self, line: "_Line[A]", seconds: float) -> None:
        # Timeouts may be of any length, and there would be a timer for each that ever was.
        if line.timer is not None:
            line.timer.cancel()
        del self._lines[seconds]


class _Line(Generic[A]):
    __slots__ = ("loop", "timer", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.timer: asyncio.TimerHandle | None = None
        self.waiting: dict[A, float] = {}
