"""LetterFilter: which dead letters are meant."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self, TypedDict

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.moments import checked_moment
from app.domain.names import checked_name, matches
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.failures import MAX_MESSAGE
from app.domain.tasks.task import WorkerTask

MOST_IDS = 10_000


class LetterOptions(TypedDict, total=False):
    """What dead letters may be chosen by; see LetterFilter."""

    type: str | None
    queue: str | None
    reason: DeathReason | str | None
    error: str | None
    died_after: datetime | None
    died_before: datetime | None
    ids: Sequence[TaskId] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are meant; what is None does not restrict. Raises InvalidInput.

    ``*`` in ``type`` stands for any run of characters. ``queue`` is the one that a letter is filed under, ``error`` a
    part of the last error, upper and lower case told apart. Those of ``died_after`` itself are meant, those of
    ``died_before`` are not. ``ids`` are 10,000 at most.
    """

    type: str | None = None
    queue: str | None = None
    reason: DeathReason | None = None
    error: str | None = None
    died_after: datetime | None = None
    died_before: datetime | None = None
    ids: tuple[TaskId, ...] | None = None

    def __post_init__(self) -> None:
        if self.type is not None:
            checked_name("type", self.type, wildcard=True)
        if self.queue is not None:
            checked_name("queue", self.queue)
        if self.reason is not None:
            self._set("reason", _reason(self.reason))
        if self.error is not None:
            _check_text("error", self.error)
        for name in ("died_after", "died_before"):
            if getattr(self, name) is not None:
                self._set(name, checked_moment(name, getattr(self, name)))
        if self.ids is not None:
            self._set("ids", _ids(self.ids))

    @classmethod
    def of(cls, options: LetterOptions) -> Self:
        """Raises InvalidInput, for an option that does not exist, too."""
        known = [field.name for field in fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise InvalidInput(name, value, f"dead letters are not chosen by that, but by {', '.join(known)}")
        return cls(**options)  # type: ignore[arg-type]  # each is checked

    def as_json(self) -> dict[str, Any]:
        """What is not None, as JSON."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """The filter that ``as_json`` made *stored* of. Raises InvalidInput."""
        if not isinstance(stored, dict):
            raise InvalidInput("filter", stored, "must be an object")
        said: dict[str, Any] = dict(stored)
        for name in ("died_after", "died_before"):
            if name in said:
                try:
                    said[name] = datetime.fromisoformat(said[name])
                except (TypeError, ValueError) as error:
                    raise InvalidInput(name, said[name], "must be a moment in ISO format") from error
        return cls.of(said)  # type: ignore[arg-type]  # checked there

    def until(self, moment: datetime) -> "LetterFilter":
        """The same for those that died before *moment*, if that is the earlier one."""
        before = moment if self.died_before is None else min(moment, self.died_before)
        said: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return LetterFilter(**said | {"died_before": before})

    def fits(self, task: WorkerTask) -> bool:
        """Whether *task* is a dead letter that is meant."""
        died_at = task.finished_at
        return (
            task.is_dead_letter
            and died_at is not None
            and (self.type is None or matches(self.type, task.type))
            and (self.queue is None or self.queue == (task.letter_queue or task.queue))
            and (self.reason is None or task.reason is self.reason)
            and (self.error is None or self.error in (task.error or ""))
            and (self.died_after is None or died_at >= self.died_after)
            and (self.died_before is None or died_at < self.died_before)
            and (self.ids is None or task.id in self.ids)
        )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _reason(value: object) -> DeathReason:
    try:
        return DeathReason(value)  # type: ignore[arg-type]  # anything else raises, which is the check
    except ValueError as error:
        raise InvalidInput("reason", value, f"must be one of {', '.join(DeathReason)}") from error


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidInput(field, value, "must be text, and not empty")
    if len(value) > MAX_MESSAGE:
        raise InvalidInput(field, value, f"must have at most {MAX_MESSAGE} characters, not {len(value)}")
    if "\0" in value or value != value.encode("utf-8", "ignore").decode():
        raise InvalidInput(field, value, "must not contain NUL characters or lone surrogates")


def _ids(values: object) -> tuple[TaskId, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidInput("ids", values, "must be a list of ids")
    if len(values) > MOST_IDS:
        raise InvalidInput("ids", f"{len(values)} ids", f"must be at most {MOST_IDS}")
    return tuple(map(checked_task_id, values))


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case tuple():
            return [str(one) for one in value]
    return str(value)
