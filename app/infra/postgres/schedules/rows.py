"""The one translation between a stored schedule and a Schedule."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Double, Integer, Text, cast

from app.domain.errors import InvalidInput
from app.domain.json import decoded
from app.domain.schedules import misfire
from app.domain.schedules.plan import Plan
from app.domain.schedules.schedule import Schedule, Source
from app.infra.postgres.tables import Moment, schedules

_JSON = ("payload", "options", "misfire")
NAMES = tuple(column.name for column in schedules.columns)
# JSON travels as text, as with tasks.
COLUMNS = tuple(
    cast(column, Text).label(column.name) if column.name in _JSON else column for column in schedules.columns
)
KINDS: dict[str, Any] = {
    column.name: Text if column.name in (*_JSON, "last_task_id") else _kind
    for column in schedules.columns
    for _kind in (
        Moment
        if isinstance(column.type, type(Moment))
        else Boolean
        if isinstance(column.type, Boolean)
        else Double
        if isinstance(column.type, Double)
        else Integer
        if isinstance(column.type, Integer)
        else Text,
    )
}
"""As what each column is sent."""
_PLAN = ("cron", "every", "at", "anchor", "timezone", "dst", "misfire", "overlap", "jitter", "enabled")


def to_schedule(row: Sequence[Any]) -> Schedule:
    # In UTC, whatever the session shows: in a zone of its own Python adds to what the wall shows.
    values: dict[str, Any] = {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in zip(NAMES, row, strict=True)
    }
    plan = {name: values.pop(name) for name in _PLAN}
    plan["misfire"] = _misfire(decoded(plan["misfire"]))
    return Schedule(
        plan=Plan.stored(**plan),
        source=Source(values.pop("source")),
        payload=decoded(values.pop("payload")),
        options=decoded(values.pop("options")),
        **values,
    )


def _misfire(stored: Any) -> Any:
    try:
        return misfire.from_json(stored)
    except (InvalidInput, TypeError):
        return stored  # changed by hand: it is refused when the plan is checked


def parameters(changed: Sequence[Schedule]) -> dict[str, Any]:
    """The arrays of KINDS."""
    found: dict[str, list[Any]] = {f"{name}_list": [] for name in NAMES}
    for schedule in changed:
        for name in NAMES:
            found[f"{name}_list"].append(_stored(name, schedule))
    return found


def _stored(name: str, schedule: Schedule) -> Any:
    value = getattr(schedule.plan if name in _PLAN else schedule, name)
    if name == "misfire":
        return json.dumps(misfire.as_json(value))
    if name in _JSON:
        return json.dumps(dict(value) if name == "options" else value, ensure_ascii=False)
    # An enumeration of text, an id: what the array is of is text.
    return value if value is None or KINDS[name] is not Text else str(value)
