"""The soft timeout of coroutines: SoftTimeout is thrown into a handler at the await where it stands."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import SoftTimeout
from app.domain.jobs.job import Handler


class SoftTimeoutAtAwait(SoftTimeout, asyncio.CancelledError):
    """As it is thrown: whoever waits in asyncio's manner (TaskGroup, gather, wait_for) takes it for the end of their
    wait, and ends what they have begun; to the handler it is a SoftTimeout."""


def softly_timed(handler: Handler) -> Handler:
    """*handler*, which is ``async def``, with the soft timeout of its context."""

    async def limited(payload: Any, context: TaskContext, **services: Any) -> Any:
        coroutine = handler(payload, context, **services)
        return await (coroutine if context.soft_timeout is None else SoftlyTimed(coroutine, context))

    return limited


class SoftlyTimed:
    """Awaits *coroutine*, the handler of the attempt of *context*.

    At the limit the asyncio task is cancelled, as by anybody who cancels, and what then arrives here is thrown into the
    handler as a SoftTimeout. Somebody else who cancels at the same time goes first: a timeout of the handler's own, or
    whoever stops the attempt. While their cancellation is not taken back, ours is not begun.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: TaskContext) -> None:
        self._coroutine = coroutine
        self._context = context
        self._task: asyncio.Task[Any]
        self._cancelling = 0
        self._is_due = self._asked = self._ended = False

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # an attempt runs in one
        self._task, self._cancelling = task, task.cancelling()
        loop = task.get_loop()
        timer = loop.call_later(max(0.0, self._limit - self._context.elapsed()), self.fall_due)
        try:
            return (yield from self._driven(loop))
        except SoftTimeoutAtAwait as error:
            # From here on it is an error like any other, and no cancellation.
            raise SoftTimeout(error.attempt, error.seconds).with_traceback(error.__traceback__) from error.__cause__
        finally:
            self._ended = True
            timer.cancel()

    def fall_due(self) -> None:
        """The limit is reached; on the event loop."""
        self._is_due = True
        self._ask()

    def was_told(self) -> None:
        """The handler has been told in another way."""
        self._ended = True

    @property
    def is_told(self) -> bool:
        """Whether there is nothing more to throw, or nobody to throw it at."""
        return self._ended

    @property
    def _limit(self) -> float:
        return self._context.soft_timeout or 0.0

    def _driven(self, loop: asyncio.AbstractEventLoop) -> Generator[Any, Any, Any]:
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                waited_for = resume()
            except StopIteration as returned:
                return returned.value
            if self._is_due and not self._ended:
                # Once it stands at this await, which is when the loop has seen it.
                loop.call_soon(self._ask)
            try:
                given = yield waited_for
            except GeneratorExit:
                self._coroutine.close()
                raise
            except asyncio.CancelledError as error:
                resume = partial(self._coroutine.throw, self._instead_of(error))
            except BaseException as error:
                self._take_back()
                resume = partial(self._coroutine.throw, error)
            else:
                self._take_back()
                resume = partial(self._coroutine.send, given)

    def _ask(self) -> None:
        if not (self._asked or self._ended or self._task.cancelling() > self._cancelling):
            self._asked = True
            self._task.cancel()

    def _instead_of(self, error: asyncio.CancelledError) -> asyncio.CancelledError:
        """What to throw where *error* has arrived."""
        if not self._take_back() or self._task.cancelling() > self._cancelling:
            return error
        self._ended = True
        return SoftTimeoutAtAwait(self._context.task.attempts, self._limit)

    def _take_back(self) -> bool:
        """Whether we had asked for a cancellation; whoever was waited for may have swallowed it."""
        asked, self._asked = self._asked, False
        if asked:
            self._task.uncancel()
        return asked
