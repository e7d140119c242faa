"""Hints: what is said on the channels of a queue, gathered until it is said, and read by those who hear it."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.sql import column

from app.domain.identifiers import TaskId

# Names hold no control characters, so no queue can be mistaken for any of these.
WAITING = "\x01waiting"
"""What those who wait for results say on the channel of the workers."""
SCHEDULES = "\x01schedules"
"""Schedules have changed."""
_CANCEL = "\x01cancel "
"""Before the ids of tasks that were cancelled while they run."""
_IDS_IN_ONE = 200
"""A payload holds less than 8,000 bytes."""
_MOST_IDS = 1_000
"""Of tasks that have ended. Beyond that it is cheaper for all to look at what they wait for."""

_payloads = func.unnest(bindparam("payloads", type_=ARRAY(Text))).table_valued(column("payload", Text)).render_derived()
NOTIFY = select(func.pg_notify(bindparam("channel", type_=Text), _payloads.c.payload))


def channel_of(schema: str) -> str:
    """The notification channel of the queue in *schema*."""
    return f"{schema}_tasks"


def results_channel_of(schema: str) -> str:
    """The channel on which those hear who wait for results of the queue in *schema*."""
    return f"{schema}_results"


class Hints:
    """What is to be told: queues with something to look at, tasks that have ended, tasks to be cancelled where they
    run, schedules that have changed. Each thing once, however often it was said."""

    __slots__ = ("_cancelled", "_ended", "_queues", "_rescheduled")

    def __init__(
        self,
        queues: Iterable[str] = (),
        ended: Iterable[TaskId] = (),
        cancelled: Iterable[TaskId] = (),
        *,
        rescheduled: bool = False,
    ) -> None:
        self._queues = set(queues)
        self._ended = set(ended)
        self._cancelled = set(cancelled)
        self._rescheduled = rescheduled

    def __bool__(self) -> bool:
        return bool(self._queues or self._ended or self._cancelled or self._rescheduled)

    def wake(self, queues: Iterable[str]) -> None:
        self._queues.update(queues)

    def announce(self, ended: Iterable[TaskId]) -> None:
        self._ended.update(ended)

    def interrupt(self, cancelled: Iterable[TaskId]) -> None:
        self._cancelled.update(cancelled)

    def reschedule(self) -> None:
        self._rescheduled = True

    def add(self, others: "Hints") -> None:
        self._queues |= others._queues
        self._ended |= others._ended
        self._cancelled |= others._cancelled
        self._rescheduled |= others._rescheduled

    def for_workers(self, schema: str) -> list[dict[str, Any]]:
        """The parameters of a NOTIFY of what workers are to hear; none when that is nothing."""
        # First what may not wait.
        payloads = [f"{_CANCEL}{ids}" for ids in _listed(self._cancelled)]
        payloads += [SCHEDULES] if self._rescheduled else []
        payloads += sorted(self._queues)
        return [{"channel": channel_of(schema), "payloads": payloads}] if payloads else []

    def for_all(self, schema: str) -> list[dict[str, Any]]:
        """The same of everything, for each channel."""
        told = self.for_workers(schema)
        if self._ended:
            ended = [""] if len(self._ended) > _MOST_IDS else _listed(self._ended)
            told.append({"channel": results_channel_of(schema), "payloads": ended})
        return told


def cancelled_in(payload: str) -> list[TaskId] | None:
    """The tasks that *payload* says are cancelled; None when it is about something else."""
    if not payload.startswith(_CANCEL):
        return None
    try:
        return ids_in(payload.removeprefix(_CANCEL))
    except ValueError:  # whoever says that: heartbeats bring what there is to cancel
        return []


def ids_in(payload: str) -> list[TaskId]:
    """Raises ValueError."""
    return list(map(UUID, payload.split(",")))


def _listed(ids: Iterable[TaskId]) -> Sequence[str]:
    texts = [task_id.hex for task_id in sorted(ids)]
    return [",".join(texts[first : first + _IDS_IN_ONE]) for first in range(0, len(texts), _IDS_IN_ONE)]
