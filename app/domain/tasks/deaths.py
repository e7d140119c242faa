"""Deaths: why a task ended for good, and whether it is kept as a dead letter for somebody to look at."""

from dataclasses import dataclass
from enum import StrEnum


class DeathReason(StrEnum):
    """Why no further attempt follows, though nobody took the task back."""

    EXHAUSTED = "exhausted"
    """Its attempts are spent."""
    REJECTED = "rejected"
    """Its handler, or its job's ``should_retry``, said that another attempt makes no sense."""
    POISON = "poison"
    """Too many workers died while they ran it."""
    EXPIRED = "expired"
    """It was not started in time."""
    PAYLOAD_INVALID = "payload_invalid"
    """What it was enqueued with does not fit its job."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A task to be enqueued with a death; its payload says who died of what."""

    type: str
    max_attempts: int
    queue: str = "default"
    priority: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class Death:
    """What is stored beside the end of a task.

    ``is_letter`` keeps it as a dead letter, filed under ``queue`` (None: the task's own), and ``alert`` goes with it.
    """

    reason: DeathReason
    is_letter: bool = True
    queue: str | None = None
    alert: Alert | None = None


EXHAUSTED = Death(DeathReason.EXHAUSTED)
