"""Uniques: keys that one task at a time may have, who has them, and on which terms."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from app.domain.errors import InvalidInput, QueueError
from app.domain.identifiers import TaskId
from app.domain.jobs.unique import Unique
from app.domain.tasks.repository import Addition
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask

MAX_KEY = 500
"""Bytes of a key that are kept as they are; of a longer one its hash is, because an index holds no long ones."""

# Neither is in a namespace, which is a name: no key of one namespace is one of another, nor a hash a short key.
_SHORT = "\t"
_HASHED = "\v"


class TaskNotUnique(QueueError):
    """A task was refused, because another has its unique key; nothing was stored.

    ``existing`` is the other one, ``key`` what they share, with its namespace.
    """

    def __init__(self, type: str, key: str, existing: WorkerTask) -> None:
        self.type = type
        self.key = key
        self.existing = existing
        super().__init__(
            f"A task of {type!r} must be unique, and task {existing.id}, {existing.status}, has its key {key!r}"
        )


class Taking(NamedTuple):
    """A key that is wanted for a task, for *ttl* seconds at most, while that has one of these statuses."""

    key: str
    task_id: TaskId
    ttl: float | None
    while_status: frozenset[TaskStatus]


class Holding(NamedTuple):
    """A key that was taken for a task, on the terms of whoever took it."""

    key: str
    task_id: TaskId
    taken_at: datetime
    expires_at: datetime | None
    while_status: frozenset[TaskStatus]

    def holds(self, task: WorkerTask | None, now: datetime) -> bool:
        """Whether the key is still taken, *task* being the one it was taken for, if there is such a task.

        By one that will not be done, it is not: one that has expired, or was cancelled and is still being stopped.
        """
        if task is None or task.has_expired(now=now) or task.cancel_requested_at is not None:
            return False
        return task.status in self.while_status and (self.expires_at is None or now < self.expires_at)

    def is_stale(self, task: WorkerTask | None, now: datetime) -> bool:
        """Whether the key will not be taken again by *task*, which has it: one that failed may be retried."""
        if task is None or (self.expires_at is not None and now >= self.expires_at):
            return True
        return task.status is TaskStatus.COMPLETED and task.status not in self.while_status


class Holders(NamedTuple):
    """The tasks of some holdings as they are now, those that exist; ``at`` is the moment of the look."""

    at: datetime
    tasks: Mapping[TaskId, WorkerTask]


class Replacement(NamedTuple):
    """What a task that has not begun is to do instead; the id of *addition* is that of this task.

    Unless the new one says when it is due, it is due now: the old one keeps its place if it has been due, and loses it
    where *postpones* is true.
    """

    addition: Addition
    postpones: bool


class Cleared(NamedTuple):
    """How many keys were looked at, and how many of them nobody needs any more; ``last`` is where to go on."""

    seen: int
    removed: int
    last: str
    """Empty at the end."""


class Uniques(Protocol):
    """Where it is kept who has which key. All of it needs a transaction, which holds what it has taken."""

    def take(self, takings: Sequence[Taking]) -> list[Holding]:
        """Take the keys that nobody has; returns the holdings of the others, whether they still hold or not.

        All of these keys are ours alone to change until the transaction ends; who has one uncommitted is waited for.
        *takings* are sorted by key, each key once, so that two who want the same keys cannot wait for each other.
        Raises InvalidInput where there is no transaction.
        """
        ...

    def take_over(self, takings: Sequence[Taking]) -> None:
        """Take keys from those who have them; sorted, and in our hands since ``take``."""
        ...

    def look(self, holdings: Sequence[Holding]) -> Holders:
        """The tasks of *holdings*, wherever they are, as of now and not as of the taking."""
        ...

    def replace(self, replacements: Sequence[Replacement]) -> list[WorkerTask]:
        """Give tasks something else to do, those that are of the same type and have not begun; returns these."""
        ...

    def clear(self, after: str, limit: int) -> Cleared:
        """Forget stale keys among the next *limit* ones behind *after*; those that somebody is at are left alone."""
        ...


def unique_key(type: str, unique: Unique, payload: Any) -> str:
    """The key of a task of *type*, behind its namespace; *payload* is as its handler would get it.

    Raises InvalidInput, naming the job, when the function of the key fails or answers with anything but text or a whole
    number.
    """
    namespace = unique.namespace or type
    if unique.key is None:
        return namespace
    text = _text_of(type, unique.key, payload)
    encoded = text.encode()
    if len(encoded) > MAX_KEY:
        return f"{namespace}{_HASHED}{hashlib.sha256(encoded).hexdigest()}"
    return f"{namespace}{_SHORT}{text}"


def _text_of(type: str, key: Callable[[Any], Any], payload: Any) -> str:
    try:
        value = key(payload)
    except Exception as error:  # a user's function may raise anything
        rule = f"job {type!r}: the key function failed on this payload, {error.__class__.__name__}: {error}"
        raise InvalidInput("unique.key", payload, rule) from error
    if inspect.iscoroutine(value):
        value.close()
    # The value itself: an enumeration of text or numbers has words of its own for itself.
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    if not isinstance(value, str):
        rule = f"job {type!r}: the key function must answer text or a whole number; str(…) makes text of most things"
        raise InvalidInput("unique.key", value, rule)
    text = str.__str__(value)
    if "\0" in text or not _is_utf8(text):
        rule = f"job {type!r}: the key must not contain NUL characters or lone surrogates, which PostgreSQL cannot hold"
        raise InvalidInput("unique.key", value, rule)
    return text


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
