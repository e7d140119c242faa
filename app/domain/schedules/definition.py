"""ScheduleDefinition: what code, or a caller at run time, says of a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self, TypedDict

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds, duration
from app.domain.names import checked_name
from app.domain.schedules import misfire
from app.domain.schedules.errors import InvalidSchedule
from app.domain.schedules.plan import Plan, named
from app.domain.tasks.new import NewTask


class ScheduledOptions(TypedDict, total=False):
    """What the tasks of a schedule may have of their own; see NewTask."""

    queue: str
    priority: int
    max_attempts: int
    timeout: float | timedelta
    tags: list[str]


OPTIONS = frozenset(ScheduledOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDefinition:
    """``payload`` is an instance of the job's model, or JSON; None is the empty one. Raises InvalidSchedule."""

    key: str
    type: str
    plan: Plan
    payload: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, key: str | None, *, type: str, payload: Any, options: Mapping[str, Any], **plan: Any
    ) -> "ScheduleDefinition":
        """A definition that has been checked as far as it can be where it is written; without a key, the type is it."""
        key = checked_key(type if key is None else key, type)
        with named(key):
            said = dict(options)
            if said.get("timeout") is not None:  # as JSON has it
                said["timeout"] = checked_seconds("timeout", said["timeout"], positive=True)
            return cls(key=key, type=type, plan=Plan(**plan), payload=payload, options=said)

    def __post_init__(self) -> None:
        with named(self.key):
            if unknown := sorted(self.options.keys() - OPTIONS):
                rule = f"is no option of a scheduled task: there are {', '.join(sorted(OPTIONS))}"
                raise InvalidInput(unknown[0], self.options[unknown[0]], rule)
            NewTask(type=self.type, **self.options)

    def overridden(self, changes: Mapping[str, Any]) -> Self:
        """With *changes* to its plan, which come from a setting. Raises InvalidSchedule."""
        with named(self.key):
            if not isinstance(changes, Mapping):
                raise InvalidSchedule(self.key, "it", changes, 'must be an object such as {"enabled": false}')
            read = {name: _read(name, value) for name, value in changes.items()}
            return replace(self, plan=self.plan.replaced(read))


def checked_key(key: object, type: str) -> str:
    """*key*, if it may name a schedule of this *type* of task: a name that a command line and a log show as it is.

    Raises InvalidSchedule in the name of the type, as nobody could tell the schedule by its key.
    """
    with named(type):
        checked = checked_name("key", key)
        if checked != checked.strip() or checked.startswith("-"):
            raise InvalidInput("key", key, "must not be blank, begin or end with a space, or begin with -")
        return checked


def _read(name: str, value: Any) -> Any:
    """What a setting, which is JSON, says of a part of a plan."""
    if name == "misfire":
        return misfire.from_json(value)
    if name in ("every", "jitter") and isinstance(value, str):
        return duration(value, name)
    if name in ("at", "anchor") and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidInput(name, value, "must be like 2030-01-31T09:00+01:00") from error
    return value
