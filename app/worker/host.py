"""Host: who runs attempts, as an attempt sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from app.domain.jobs.context import TaskContext
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Outcome

A_contra = TypeVar("A_contra", contravariant=True)


class Host(Protocol[A_contra]):
    """Who runs attempts: what they need, and whom they tell; on the event loop where nothing else is said."""

    max_result: int
    cancel_grace: float
    loop: asyncio.AbstractEventLoop

    def submit(self, work: Callable[[], None]) -> None:
        """Run *work* in a thread."""
        ...

    def offload(self, work: Callable[[], Any], context: TaskContext) -> Awaitable[Any]:
        """Run *work* of the attempt of *context* in a thread, and wait for what it returns."""
        ...

    def tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the loop call *callback*; from any thread. Raises RuntimeError when the loop has ended."""
        ...

    def is_shutting_down(self) -> bool: ...

    def report(
        self, attempt: A_contra, percent: float | None, message: str | None, checkpoint: JsonText | None
    ) -> None:
        """The handler says how far it has come, or saves something; from any thread."""
        ...

    def ended(self, attempt: A_contra, outcome: Outcome | None) -> None:
        """The one outcome of *attempt*; None where it is settled already."""
        ...

    def in_doubt(self, attempt: A_contra, outcome: Outcome, completed: Completed | None) -> None:
        """*attempt* ended so, unless its completion was committed in a session, of which nobody has heard."""
        ...

    def left(self, attempt: A_contra) -> None:
        """The handler outlives its outcome: a thread cannot be stopped, a coroutine may refuse to."""
        ...

    def gone(self, attempt: A_contra) -> None:
        """Such a handler has ended after all."""
        ...
