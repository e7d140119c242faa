"""Results: who waits for tasks to end, and how they hear of it; looking remains the truth."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from app.domain.identifiers import TaskId
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask

Ended = frozenset[TaskId] | None
"""Tasks that ended just now; None: some did, look at all that are waited for."""


class Look(NamedTuple):
    """What became of some tasks; those in neither are not there."""

    ended: Sequence[WorkerTask]
    going_on: dict[TaskId, TaskStatus]


class TaskResults(Protocol):
    """Reads for those who wait."""

    def look(self, ids: Sequence[TaskId]) -> Look:
        """What became of these tasks, in as few statements for many as for one."""
        ...


class ResultNotifications(Protocol):
    """One listener of a process that waits; supervised, so that a lost connection is restored.

    Workers say nothing of what ends until somebody asks them to, and stop when nobody has for a minute.
    """

    def start(self, on_end: Callable[[Ended], None]) -> None:
        """Begin to listen. *on_end* is called from another thread; with None too once listening has begun, because
        nobody knows what ended before."""
        ...

    def ask(self) -> None:
        """Say that somebody waits: for a minute from now, ends are announced. Returns at once."""
        ...

    def stop(self) -> None:
        """End, within a second."""
        ...
