"""NewTask: what a caller asks for, checked on construction, before anything is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.json import JsonText, checked_json
from app.domain.moments import checked_moment, checked_seconds
from app.domain.names import checked_name, checked_names
from app.domain.numbers import checked_whole_number

MAX_TAGS = 50
MAX_VERSION = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """One task to enqueue. Raises InvalidInput, naming field, value and rule.

    ``payload`` is any JSON value, usually a dict. Higher ``priority`` is more urgent (32 bits). ``scheduled_at``
    needs a time zone; ``delay`` (seconds or timedelta) is counted by the database's clock; one of the two at most.
    ``timeout`` is seconds (or a timedelta) per attempt. ``version`` is that of the payload's model. A task that is not
    started by ``expires_at``, or within ``ttl`` (seconds or timedelta) of falling due, is cancelled instead; one of the
    two at most. What is None here comes from the job, then the settings. ``origin`` says what the task comes of, where
    that is no caller; an object of JSON.
    """

    type: str
    payload: Any = field(default_factory=dict)
    queue: str = "default"
    priority: int = 0
    max_attempts: int | None = None
    timeout: float | timedelta | None = None
    scheduled_at: datetime | None = None
    delay: float | timedelta | None = None
    correlation_id: str | None = None
    tags: Sequence[str] = ()
    version: int | None = None
    expires_at: datetime | None = None
    ttl: float | timedelta | None = None
    origin: Mapping[str, Any] | None = None

    text: str = field(init=False, repr=False, compare=False)
    """The payload as it is stored: taken at construction, so that a later change of the dict changes nothing."""
    size: int = field(init=False, repr=False, compare=False)
    """Its bytes in UTF-8."""

    def __post_init__(self) -> None:
        checked_name("type", self.type)
        checked_name("queue", self.queue)
        if type(self.priority) is not int or self.priority:
            checked_whole_number("priority", self.priority)
        if self.max_attempts is not None:
            checked_whole_number("max_attempts", self.max_attempts, low=1)
        if self.scheduled_at is not None:
            object.__setattr__(self, "scheduled_at", checked_moment("scheduled_at", self.scheduled_at))
            if self.delay is not None:
                raise InvalidInput("delay", self.delay, "must not be given together with scheduled_at")
        if self.correlation_id is not None:
            checked_name("correlation_id", self.correlation_id, wildcard=True)
        if self.timeout is not None:
            object.__setattr__(self, "timeout", checked_seconds("timeout", self.timeout, positive=True))
        if self.version is not None:
            checked_whole_number("version", self.version, low=1, high=MAX_VERSION)
        if self.delay is not None:
            object.__setattr__(self, "delay", checked_seconds("delay", self.delay))
        if self.expires_at is not None or self.ttl is not None:
            self._check_expiry()
        if type(self.tags) is not tuple or self.tags:
            tags = checked_names("tags", self.tags, wildcard=True)
            if len(tags) > MAX_TAGS:
                raise InvalidInput("tags", self.tags, f"must be at most {MAX_TAGS}, not {len(tags)}")
            object.__setattr__(self, "tags", tags)
        # Apart, because one object more per task is as much again for the garbage collector.
        text, size = checked_json(self.payload, field="payload")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "size", size)

    def _check_expiry(self) -> None:
        if self.ttl is not None:
            object.__setattr__(self, "ttl", checked_seconds("ttl", self.ttl, positive=True))
            if self.expires_at is not None:
                raise InvalidInput("ttl", self.ttl, "must not be given together with expires_at")
            return
        expires_at = checked_moment("expires_at", self.expires_at)
        object.__setattr__(self, "expires_at", expires_at)
        if self.scheduled_at is not None and expires_at <= self.scheduled_at:
            raise InvalidInput("expires_at", expires_at, f"must be later than scheduled_at, {self.scheduled_at}")

    @property
    def encoded(self) -> JsonText:
        return JsonText(self.text, self.size)
