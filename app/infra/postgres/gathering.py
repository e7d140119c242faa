"""Gathering: calls of one use case that come while another is under way, run together in one statement."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from app.domain.errors import DatabaseUnavailable
from app.usecases.transaction import Gatherable

MOST = 500
"""Calls in one statement."""
OVERDUE = 0.05
"""Seconds after which those who wait no longer wait for the one under way: its connection may hang."""


class _Call(NamedTuple):
    use_case: Gatherable[Any]
    prepared: Any
    answer: "asyncio.Future[Any]"


_Run = Callable[[Gatherable[Any], Sequence[Any]], Awaitable[Sequence[Any]]]


class Gathering:
    """Ten producers that wait for the disk one after the other wait ten times as long as ten that wait together.

    Who finds nobody under way goes at once. Who comes meanwhile waits for that, and then goes with all the others who
    do: nobody waits for company. *run* runs several calls in one transaction, and tells what is to be told after it. A
    caller who is cancelled after that has begun gets no answer, and all else takes its course.
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._lines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = weakref.WeakKeyDictionary()

    async def add(self, use_case: Gatherable[Any], prepared: Any, *, alone: bool = False) -> Any:
        """Run the call, unless *alone* maybe with others, and return its own answer, or raise its own error."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = _Line(loop, self._run)
        call = _Call(use_case, prepared, loop.create_future())
        if alone:
            line.send([call])
        else:
            line.join(call)
        return await call.answer


class _Line:
    """Those who wait, on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, run: _Run) -> None:
        self._loop = weakref.ref(loop)
        self._run = run
        self._waiting: list[_Call] = []
        self._sent: set[asyncio.Task[None]] = set()
        self._groups: set[asyncio.Task[None]] = set()
        self._overdue: asyncio.TimerHandle | None = None

    def join(self, call: _Call) -> None:
        self._waiting.append(call)
        if not self._groups:
            self._go()
        elif self._overdue is None and (loop := self._loop()) is not None:
            self._overdue = loop.call_later(OVERDUE, self._go)

    def send(self, calls: list[_Call]) -> "asyncio.Task[None]":
        """Run *calls* together, in a task that no caller's cancellation reaches."""
        task = asyncio.get_running_loop().create_task(self._answer(calls), name="app-gathering")
        self._sent.add(task)  # the loop itself holds it weakly
        task.add_done_callback(self._sent.discard)
        return task

    def _go(self, _: object = None) -> None:
        """Send whoever waits, as far as they want the same."""
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        calls = [call for call in self._waiting if not call.answer.done()]  # done: its caller was cancelled
        group = [call for call in calls if call.use_case == calls[0].use_case][:MOST]
        going = {id(call) for call in group}
        self._waiting = [call for call in calls if id(call) not in going]
        if group:
            task = self.send(group)
            self._groups.add(task)
            task.add_done_callback(self._came_back)

    def _came_back(self, group: "asyncio.Task[None]") -> None:
        self._groups.discard(group)
        if self._waiting and not group.cancelled():
            self._go()

    async def _answer(self, calls: list[_Call]) -> None:
        try:
            answers = await self._run(calls[0].use_case, [call.prepared for call in calls])
        except Exception as error:
            if len(calls) > 1 and not isinstance(error, DatabaseUnavailable):
                # One of them is to blame, and the others are not: nothing was stored, so each may try alone.
                for call in calls:
                    await self._answer([call])
                return
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(error)
        except BaseException:
            for call in calls:
                call.answer.cancel()
            raise
        else:
            for call, answer in zip(calls, answers, strict=True):
                if not call.answer.done():
                    call.answer.set_result(answer)
