"""Unique: when a second task of a job is one too many."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from app.domain.errors import InvalidInput
from app.domain.jobs.signature import is_coroutine_function
from app.domain.moments import checked_seconds
from app.domain.names import checked_name
from app.domain.tasks.status import TaskStatus

OnConflict = Literal["drop", "replace", "debounce", "raise"]

UNFINISHED = frozenset(status for status in TaskStatus if not status.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """One task at a time for each key, in one namespace of keys (the job's type unless said).

    ``key`` is a function of the payload, as the handler gets it, that answers text or a whole number; without it there
    is one key for the whole job. The key is taken from the enqueue on, while its task has one of the statuses of
    ``while_status`` (as long as it has not ended, unless said), and at most ``ttl`` seconds (or a timedelta), on the
    terms of whoever took it. Whoever comes second gets the first one's task, and ``on_conflict`` says what happens to
    it: nothing (``drop``), it gets the new payload and options if it is of the same type and has not begun
    (``replace``), that and a new start of its delay (``debounce``), or the call is refused with TaskNotUnique
    (``raise``). With its old payload go its progress and its checkpoint; its attempts and their errors stay.

    It is decided at the enqueue, by those who know the job. A task that is retried by hand is not refused: it has its
    key again, unless another has taken it meanwhile. Raises InvalidInput.
    """

    key: Callable[[Any], Any] | None = None
    namespace: str | None = None
    ttl: float | timedelta | None = None
    on_conflict: OnConflict = "drop"
    while_status: Collection[TaskStatus | str] = UNFINISHED

    def __post_init__(self) -> None:
        if self.key is not None and not callable(self.key):
            raise InvalidInput("unique.key", self.key, "must be a function of the payload")
        if is_coroutine_function(self.key):
            raise InvalidInput("unique.key", self.key, "must be a plain function: nobody awaits it at enqueue")
        if self.namespace is not None:
            checked_name("unique.namespace", self.namespace)
        if self.ttl is not None:
            object.__setattr__(self, "ttl", checked_seconds("unique.ttl", self.ttl, positive=True))
        if self.on_conflict not in get_args(OnConflict):
            rule = f"must be one of {', '.join(get_args(OnConflict))}"
            raise InvalidInput("unique.on_conflict", self.on_conflict, rule)
        try:
            statuses = frozenset(map(TaskStatus, self.while_status))
        except (TypeError, ValueError) as error:
            rule = f"must hold some of {', '.join(TaskStatus)}"
            raise InvalidInput("unique.while_status", self.while_status, rule) from error
        if not statuses:
            raise InvalidInput("unique.while_status", self.while_status, "must not be empty: no key would be taken")
        object.__setattr__(self, "while_status", statuses)
