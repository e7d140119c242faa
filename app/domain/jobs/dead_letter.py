"""DeadLetter: what becomes of the tasks of a job that end for good, beside their end."""

from dataclasses import dataclass
from typing import Protocol

from app.domain.errors import InvalidInput
from app.domain.names import checked_name
from app.domain.tasks.deaths import Alert

ALERT_ATTEMPTS = 10
"""Of an alert whose job says nothing of it, or is not known where the death is stored."""


class AlertJob(Protocol):
    """What an alert takes from its job."""

    type: str
    queue: str
    priority: int
    max_attempts: int | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Tasks that end for good are kept as dead letters, filed under ``queue`` (None: their own).

    ``alert`` is a job, or the type of one that another application knows, of which a task is enqueued in the very
    transaction in which the death is stored: one is not there without the other. Its payload is ``{"task_id", "type",
    "queue", "reason", "error", "attempts"}`` of the task that died. What becomes of an alert raises no other one, and
    each death has one of its own: ``unique`` of its job is not asked. Raises InvalidInput.
    """

    queue: str | None = None
    alert: AlertJob | str | None = None

    def __post_init__(self) -> None:
        if self.queue is not None:
            checked_name("dead_letter.queue", self.queue)
        if isinstance(self.alert, str):
            checked_name("dead_letter.alert", self.alert)
        elif self.alert is not None and not hasattr(self.alert, "max_attempts"):
            raise InvalidInput("dead_letter.alert", self.alert, "must be a job, or the type of one")

    @property
    def raised(self) -> Alert | None:
        """What each death raises."""
        job = self.alert
        if job is None:
            return None
        if isinstance(job, str):
            return Alert(job, max_attempts=ALERT_ATTEMPTS)
        attempts = job.max_attempts or ALERT_ATTEMPTS
        return Alert(job.type, max_attempts=attempts, queue=job.queue, priority=job.priority, version=job.version)
