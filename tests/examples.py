"""What tests build things from: tasks, workers, a clock to move by hand, a publisher that remembers."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.identifiers import TaskId, TaskIds
from app.domain.tasks.events import TaskEvent
from app.domain.tasks.failures import Failure
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask
from app.domain.workers import WorkerNode

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EMAIL = "email:send"
REPORT = "report:generate"

new_ids = TaskIds()


def new_id() -> TaskId:
    return new_ids(1)[0]


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> datetime:
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return self._now


class Recorder:
    """A publisher that remembers what it was given.

    It wants everything, or nothing when ``deaf``; ``look`` is called before each event is remembered.
    """

    def __init__(self) -> None:
        self.events: list[TaskEvent] = []
        self.deaf = False
        self.look: Callable[[TaskEvent], object] = lambda event: None

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        return not self.deaf

    def publish(self, events: Sequence[TaskEvent]) -> None:
        for event in events:
            self.look(event)
            self.events.append(event)


def new_task(type: str = EMAIL, **changes: Any) -> NewTask:
    """A request to send an e-mail, with *changes*."""
    return NewTask(**{"type": type, "payload": {"to": "ada@example.org"}} | changes)


def a_task(**changes: Any) -> WorkerTask:
    """A pending task, due at noon, with *changes*."""
    known: dict[str, Any] = {"id": new_id(), "type": EMAIL, "payload": {}, "scheduled_at": NOON, "created_at": NOON}
    return WorkerTask(**known | changes)


def a_running_task(**changes: Any) -> WorkerTask:
    """A task that worker ``w1`` claimed at noon, with *changes* made before."""
    task = a_task(**changes)
    task.claim("w1", now=NOON)
    return task


def a_node(id: str = "w1", **changes: Any) -> WorkerNode:
    """A worker that knows e-mails and reports and may be silent for a minute."""
    known: dict[str, Any] = {"id": id, "name": id, "lease": 60.0, "concurrency": 5, "types": (EMAIL, REPORT)}
    return WorkerNode(**known | changes)


def a_failure(message: str = "no such mailbox") -> Failure:
    return Failure("smtplib.SMTPException", message, "Traceback …")
