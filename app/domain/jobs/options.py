"""Options: what may be said of a job, and of one task of it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypedDict

from app.domain.jobs.context import TaskContext
from app.domain.jobs.dead_letter import DeadLetter
from app.domain.jobs.keep import Keep
from app.domain.jobs.unique import Unique
from app.domain.retries import RetryPolicy, ShouldRetry
from app.domain.tasks.task import WorkerTask

Isolation = Literal["process"]

Before = Callable[[Any, TaskContext], Awaitable[None] | None]
"""``hook(payload, context)``"""
After = Callable[[Any, TaskContext, Any], Awaitable[None] | None]
"""``hook(payload, context, result)``"""
OnError = Callable[[Any, TaskContext, BaseException], Awaitable[None] | None]
"""``hook(payload, context, error)``"""


class JobCall(Protocol):
    """What a middleware is told of the call that it wraps."""

    @property
    def task(self) -> WorkerTask: ...

    @property
    def payload(self) -> Any:
        """As the handler gets it."""
        ...

    @property
    def context(self) -> TaskContext: ...


Middleware = Callable[[JobCall, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""``async def __call__(attempt, inner)``: awaits ``inner()`` and returns its result, or something of its own."""


class JobOptions(TypedDict, total=False):
    """What ``define`` and the class form take beside the type and the models; see Job."""

    queue: str
    priority: int
    timeout: float | timedelta | None
    soft_timeout: float | timedelta | None
    max_attempts: int | None
    retry: RetryPolicy
    should_retry: ShouldRetry | None
    version: int
    unique: Unique | None
    keep: Keep | None
    ttl: float | timedelta | None
    dead_letter: bool | str | DeadLetter
    transactional: bool
    isolation: Isolation | None
    middleware: Sequence[Middleware]
    before: Sequence[Before]
    after: Sequence[After]
    on_error: Sequence[OnError]


class EnqueueOptions(TypedDict, total=False):
    """What one task of a job may have of its own; see NewTask."""

    queue: str
    priority: int
    max_attempts: int | None
    timeout: float | timedelta | None
    scheduled_at: datetime | None
    delay: float | timedelta | None
    correlation_id: str | None
    tags: Sequence[str]
    expires_at: datetime | None
    ttl: float | timedelta | None
