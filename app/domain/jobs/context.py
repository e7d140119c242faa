"""TaskContext: what a handler is given beside its payload."""

import logging
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

from app.domain.errors import InvalidInput
from app.domain.jobs.errors import AttemptCancelled, AttemptTimedOut, SoftTimeout
from app.domain.jobs.sessions import NoDatabase, OpenSession
from app.domain.json import JsonText
from app.domain.schedules.tick import ScheduledTick
from app.domain.tasks.failures import MAX_MESSAGE, storable
from app.domain.tasks.task import WorkerTask


class Report(Protocol):
    """Hears what a handler says, in its own thread: how far it has come, or, without a percentage, what it saves."""

    def __call__(self, percent: float | None, message: str | None, checkpoint: JsonText | None = None, /) -> None: ...


def _no_session() -> OpenSession:
    raise NoDatabase


WHOLE = 100
"""The percentage at which an attempt is done."""
MAX_CHECKPOINT = 1_048_576
"""Bytes of a checkpoint: it is written again each time something is saved."""


class TaskLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose every line names the task: in its text, and as fields under ``extra``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return f"[{kwargs['extra']['task_type']} {kwargs['extra']['task_id']}] {msg}", kwargs


class TaskContext:
    """The running attempt, seen from inside its handler; every method may be called from any thread.

    Of those who run attempts, and not for handlers: ``opened`` is the session that was asked for, ``late`` the error of
    an attempt that ran out of its time, ``cancelled`` says that its task was cancelled while it ran, ``abandoned`` that
    it has ended without its handler, which goes on; ``timeout`` and ``soft_timeout`` are the seconds that it may take,
    of which ``elapsed`` tells how many have passed.
    """

    __slots__ = (
        "_log", "_open_session", "_report", "_shutting_down", "abandoned", "cancelled", "elapsed", "late", "opened",
        "soft_timeout", "task", "timeout", "worker_id",
    )  # fmt: skip

    def __init__(
        self,
        task: WorkerTask,
        worker_id: str,
        *,
        shutting_down: Callable[[], bool] = lambda: False,
        report: Report = lambda percent, message, checkpoint=None: None,
        open_session: Callable[[], OpenSession] = _no_session,
        timeout: float | None = None,
        soft_timeout: float | None = None,
        elapsed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.task = task
        self.worker_id = worker_id
        self._shutting_down = shutting_down
        self._report = report
        self._log: TaskLog | None = None
        self._open_session = open_session
        self.opened: OpenSession | None = None
        self.late: AttemptTimedOut | None = None
        self.abandoned = False
        self.cancelled = False
        self.timeout = timeout
        self.soft_timeout = soft_timeout
        self.elapsed = elapsed

    @property
    def log(self) -> TaskLog:
        if self._log is None:
            self._log = TaskLog(
                logging.getLogger("app.jobs"),
                {
                    "task_id": str(self.task.id),
                    "task_type": self.task.type,
                    "attempt": self.task.attempts,
                    "worker_id": self.worker_id,
                    "correlation_id": self.task.correlation_id,
                },
            )
        return self._log

    @property
    def tick(self) -> ScheduledTick | None:
        """The nominal tick that the task was enqueued for by a schedule; None of every other task."""
        return ScheduledTick.of(self.task.origin)

    @property
    def session(self) -> Any:
        """A database session of the attempt's own: a SQLAlchemy Session for ``def``, an AsyncSession for ``async def``.

        Made when first asked for, on the queue's engine. It commits when the handler has returned, before the task is
        completed, or together with it where the job is ``transactional``; it rolls back when the attempt fails in any
        way, and is closed with it. Raises NoDatabase for a queue in memory, and in a process of the handler's own;
        NoSessionForItems in a batch job.
        """
        if self.opened is None:
            self.opened = self._open_session()
        return self.opened.given

    def is_shutting_down(self) -> bool:
        """True once this attempt should come to an end: its task is cancelled, or its worker is stopping, or has lost
        or given up on it."""
        return self.cancelled or self._shutting_down()

    def is_cancelled(self) -> bool:
        """True once the task is cancelled: however this attempt ends, that is how the task ends."""
        return self.cancelled

    def time_left(self) -> float | None:
        """Seconds until the timeout of this attempt, 0 from then on; None where there is none."""
        return None if self.timeout is None else max(0.0, self.timeout - self.elapsed())

    def check(self) -> None:
        """Raise what should end this attempt; for handlers that nobody can interrupt, in threads and in long loops.

        Raises AttemptCancelled once the task is cancelled, and SoftTimeout once the soft timeout has passed; from then
        on each time.
        """
        if self.cancelled:
            raise AttemptCancelled(self.task.attempts)
        if self.soft_timeout is not None and self.elapsed() >= self.soft_timeout:
            raise SoftTimeout(self.task.attempts, self.soft_timeout)

    def progress(self, percent: float, message: str | None = None) -> None:
        """Report how far the attempt has come: 0 to 100, with a line of text. Returns at once; stored soon after.

        A report made after the lease was lost is refused silently. Raises InvalidInput.
        """
        self._report(_checked_percent(percent), None if message is None else _checked_line(message))

    @property
    def checkpoint(self) -> Any:
        """What this attempt, or the one before it, saved last; None when nothing was."""
        return self.task.checkpoint

    def save_checkpoint(self, value: Any) -> None:
        """Save *value*, which is JSON of a megabyte at most, for the next attempt. Returns at once; stored soon after.

        However the attempt ends, its last value is stored with its end, unless it completes: then there is nothing to
        go on from. A worker that is killed leaves what was stored until then. What is saved after the lease was lost
        is refused silently. Raises InvalidInput.
        """
        saved = JsonText.of(value, field="checkpoint", limit=MAX_CHECKPOINT)
        self._report(None, None, saved)
        # As the next attempt will find it, and out of reach of whoever changes the value afterwards.
        self.task.checkpoint = saved.decoded()


def _checked_percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= WHOLE:
        raise InvalidInput("percent", value, "must be a number from 0 to 100")
    return float(value)


def _checked_line(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput("message", value, "must be text")
    return storable(value, MAX_MESSAGE)
