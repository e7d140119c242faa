"""The lifecycle of a task as one table, read by the entity, by the SQL and by the diagram in the docs."""

from enum import Enum, StrEnum


class TaskStatus(StrEnum):
    """Where a task stands. Scheduled and retrying tasks are pending with a ``scheduled_at`` in the future."""

    BLOCKED = "blocked"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether no attempt follows unless somebody asks for it."""
        return self in FINAL


class Transition(Enum):
    """Every verb that changes a status: from which statuses it is allowed, and to which it leads."""

    UNBLOCK = ("unblock", (TaskStatus.BLOCKED,), TaskStatus.PENDING)
    CLAIM = ("claim", (TaskStatus.PENDING,), TaskStatus.RUNNING)
    COMPLETE = ("complete", (TaskStatus.RUNNING,), TaskStatus.COMPLETED)
    FAIL = ("fail", (TaskStatus.RUNNING,), TaskStatus.FAILED)
    PUT_BACK = ("put back", (TaskStatus.RUNNING,), TaskStatus.PENDING)
    GIVE_UP = ("give up", (TaskStatus.RUNNING,), TaskStatus.CANCELLED)
    CANCEL = ("cancel", (TaskStatus.BLOCKED, TaskStatus.PENDING, TaskStatus.RUNNING), TaskStatus.CANCELLED)
    RETRY = ("retry", (TaskStatus.FAILED, TaskStatus.CANCELLED), TaskStatus.PENDING)

    def __init__(self, verb: str, sources: tuple[TaskStatus, ...], target: TaskStatus) -> None:
        self.verb = verb
        self.sources = sources
        self.target = target


NOT_BEGUN = (TaskStatus.BLOCKED, TaskStatus.PENDING)
FINAL = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)
