"""Gathering: calls of one use case that come while another is under way, run together in one statement."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from app.domain.errors import DatabaseUnavailable
from app.usecases.transaction import Gatherable

MOST = 500
"""Calls in one statement."""


class _Call(NamedTuple):
    use_case: Gatherable[Any]
    prepared: Any
    answer: "asyncio.Future[Any]"


class Gathering:
    """Ten producers that wait for the disk one after the other wait ten times as long as ten that wait together.

    Who finds nobody under way goes at once. Who comes meanwhile waits for that, and then goes with all the others who
    do: nobody waits for company. *run* runs several calls in one transaction.
    """

    def __init__(self, run: Callable[[Gatherable[Any], Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
        self._run = run
        self._waiting: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Call]] = weakref.WeakKeyDictionary()
        self._followers: set[asyncio.Task[None]] = set()

    async def add(self, use_case: Gatherable[Any], prepared: Any) -> Any:
        """Run the call, maybe with others, and return its own answer, or raise its own error."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is not None:  # somebody is under way
            call = _Call(use_case, prepared, loop.create_future())
            waiting.append(call)
            return await call.answer
        self._waiting[loop] = waiting = []
        try:
            return (await self._run(use_case, [prepared]))[0]
        finally:
            if waiting:
                follower = loop.create_task(self._go_on(loop, waiting), name="app-gathering")
                self._followers.add(follower)  # the loop itself holds it weakly
                follower.add_done_callback(self._followers.discard)
            else:
                del self._waiting[loop]

    async def _go_on(self, loop: asyncio.AbstractEventLoop, waiting: list[_Call]) -> None:
        try:
            while waiting:
                calls = [call for call in waiting[:MOST] if not call.answer.done()]  # done: its caller was cancelled
                del waiting[:MOST]
                if calls:
                    await self._answer([call for call in calls if call.use_case == calls[0].use_case])
                    waiting[:0] = [call for call in calls if call.use_case != calls[0].use_case]
        finally:
            del self._waiting[loop]
            for call in waiting:  # the loop ends
                call.answer.cancel()

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
