"""What a handler may raise to say how its attempt ends, other than by failing."""

from app.domain.errors import QueueError
from app.domain.moments import checked_seconds
from app.domain.tasks.failures import MAX_MESSAGE, storable


class HandlerAnswer(QueueError):
    """Root of the answers; raised by handlers, never by this package."""


class RetryLater(HandlerAnswer):
    """A failed attempt that chooses its own wait: try again after *delay* seconds, if attempts are left."""

    def __init__(self, delay: float, reason: str = "") -> None:
        self.delay = checked_seconds("delay", delay)
        super().__init__(reason or f"the handler asked to be retried in {self.delay:g} s")


class FailForGood(HandlerAnswer):
    """A failed attempt after which no other makes sense: the task ends failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(storable(str(reason), MAX_MESSAGE))


class PayloadInvalid(FailForGood):
    """What the task was enqueued with does not fit its job here; raised in the place of the handler."""


class CancelTask(HandlerAnswer):
    """The task is not wanted any more: it ends cancelled, with this reason and no error entry."""

    def __init__(self, reason: str = "") -> None:
        self.reason = storable(str(reason), MAX_MESSAGE) or "cancelled by its handler"
        super().__init__(self.reason)


class Snooze(HandlerAnswer):
    """Not yet: come back after *delay* seconds, no attempt spent."""

    def __init__(self, delay: float) -> None:
        self.delay = checked_seconds("delay", delay)
        super().__init__(f"snoozed for {self.delay:g} s")
