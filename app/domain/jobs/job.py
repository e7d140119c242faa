"""Job: the inert definition of a kind of work."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.jobs.context import TaskContext
from app.domain.moments import checked_seconds
from app.domain.names import checked_name
from app.domain.numbers import checked_whole_number
from app.domain.retries import DEFAULT_RETRY, RetryPolicy, ShouldRetry

Handler = Callable[[Any, TaskContext], Any] | Callable[[Any, TaskContext], Awaitable[Any]]
"""``handler(payload, context) -> result``; ``def`` runs in a thread, ``async def`` on the worker's loop."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A type name, a handler and its policies. It knows no queue, database or container, and may be imported anywhere.

    ``timeout`` is seconds per attempt; it and ``max_attempts`` yield to what a caller says at enqueue, and stand before
    the settings. Raises InvalidInput.
    """

    type: str
    handler: Handler = field(repr=False)
    timeout: float | None = None
    max_attempts: int | None = None
    retry: RetryPolicy = DEFAULT_RETRY
    should_retry: ShouldRetry | None = None
    is_asynchronous: bool = field(init=False, repr=False)
    """Whether the handler is ``async def``, as a function or as the ``__call__`` of an object."""

    def __post_init__(self) -> None:
        checked_name("type", self.type)
        if not callable(self.handler):
            raise InvalidInput("handler", self.handler, "must be a function of payload and context")
        call = getattr(self.handler, "__call__", None)  # noqa: B004
        is_asynchronous = inspect.iscoroutinefunction(self.handler) or inspect.iscoroutinefunction(call)
        object.__setattr__(self, "is_asynchronous", is_asynchronous)
        if self.timeout is not None:
            object.__setattr__(self, "timeout", checked_seconds("timeout", self.timeout, positive=True))
        if self.max_attempts is not None:
            checked_whole_number("max_attempts", self.max_attempts, low=1)
        if not callable(self.retry):
            raise InvalidInput("retry", self.retry, "must be a policy such as Exponential() or a function")
        if self.should_retry is not None and not callable(self.should_retry):
            raise InvalidInput("should_retry", self.should_retry, "must be a function of the error")
