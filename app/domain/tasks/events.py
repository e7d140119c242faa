"""What happens to a task, told after it was committed."""

from dataclasses import dataclass
from typing import Any, ClassVar

from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.task import WorkerTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """Root of all events; ``task`` is the task as it was at that moment, ``signal`` the name receivers connect to."""

    signal: ClassVar[str]
    task: WorkerTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated(TaskEvent):
    signal = "created"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskEvent):
    """A worker claimed the task and is about to call its handler."""

    signal = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgressed(TaskEvent):
    """``percent`` lies between 0 and 100."""

    signal = "progressed"
    percent: float
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCompleted(TaskEvent):
    """``duration`` is seconds from the start of this attempt to its settling, by the database's clock."""

    signal = "completed"
    result: Any
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(TaskEvent):
    """An attempt failed; the task itself only when ``will_retry`` is false. ``error`` is one line of text."""

    signal = "failed"
    error: str
    will_retry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetried(TaskEvent):
    """The task was put back for another try: by its retry policy, or by an operator (``manual``)."""

    signal = "retried"
    manual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskEvent):
    """Cancelled by an operator, or by its own handler for ``reason``."""

    signal = "cancelled"
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecovered(TaskEvent):
    """The task was taken back from ``worker_id``, whose lease ran out."""

    signal = "recovered"
    worker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDeadLettered(TaskEvent):
    """The task ended for good and waits, as a dead letter, for somebody to look at it."""

    signal = "dead_lettered"
    reason: DeathReason


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLeaseLost(TaskEvent):
    """This worker's outcome was refused because the task is no longer its own; what it did may be done again."""

    signal = "lease_lost"


EVENTS: tuple[type[TaskEvent], ...] = (
    TaskCreated,
    TaskStarted,
    TaskProgressed,
    TaskCompleted,
    TaskFailed,
    TaskRetried,
    TaskCancelled,
    TaskRecovered,
    TaskDeadLettered,
    TaskLeaseLost,
)
