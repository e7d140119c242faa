"""What people ask about tasks: reads only, kept apart from the port that writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.domain.identifiers import TaskId
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStats:
    """How many tasks are in each status, and in all."""

    blocked: int = 0
    pending: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.blocked + self.pending + self.running + self.completed + self.failed + self.cancelled


class Grouping(StrEnum):
    """What tasks may be counted by."""

    TYPE = "type"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """How the tasks of one type, or of one queue, stand.

    ``p50`` and ``p95`` are the seconds within which half, and nineteen of twenty, of its completed tasks ran, from the
    start of the attempt that completed them to its end; None while none is completed. Durations are kept in buckets, so
    these two may be off by up to 9.1 % either way; the counts are exact.
    """

    name: str
    stats: TaskStats
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks to list. ``type`` may hold ``*`` wildcards; what is None does not restrict."""

    status: TaskStatus | None = None
    type: str | None = None
    queue: str | None = None
    limit: int = 50


class TaskStatistics(Protocol):
    """Reads for people and screens; never part of a write's decision."""

    def counts(self) -> TaskStats: ...

    def breakdown(self, by: Grouping) -> Sequence[GroupStats]:
        """The same by type or by queue, in the order of their names; those that have no tasks are left out."""
        ...

    def find(self, task_id: TaskId) -> WorkerTask | None: ...

    def newest(self, wanted: TaskFilter) -> Sequence[WorkerTask]:
        """Matching tasks, newest first."""
        ...
