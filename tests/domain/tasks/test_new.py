"""NewTask: checked when it is made, before anything is stored."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.tasks.new import MAX_TAGS, NewTask
from tests.examples import NOON, new_task


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": ""}, "type"),
        ({"type": "email:*"}, "type"),
        ({"type": "x" * 201}, "type"),
        ({"queue": ""}, "queue"),
        ({"queue": "a\tb"}, "queue"),
        ({"priority": 2**31}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"scheduled_at": datetime(2026, 1, 1)}, "scheduled_at"),  # noqa: DTZ001 - that is the point
        ({"scheduled_at": NOON.replace(year=9999)}, "scheduled_at"),
        ({"delay": -1}, "delay"),
        ({"delay": 10**400}, "delay"),
        ({"delay": 5, "scheduled_at": NOON}, "delay"),
        ({"correlation_id": ""}, "correlation_id"),
        ({"tags": "urgent"}, "tags"),
        ({"tags": ["a", "\0"]}, "tags[1]"),
        ({"tags": [str(number) for number in range(MAX_TAGS + 1)]}, "tags"),
        ({"payload": {"a": float("nan")}}, "payload.a"),
        ({"payload": object()}, "payload"),
    ],
)
def test_what_cannot_be_stored_is_refused_at_once(changes: dict[str, Any], field: str) -> None:
    """
    The error names the field.
    """
    with pytest.raises(InvalidInput) as refused:
        new_task(**changes)

    assert field == refused.value.field


def test_durations_become_seconds() -> None:
    """
    Given as a timedelta or as a number.
    """
    new = new_task(timeout=timedelta(minutes=1), delay=timedelta(hours=1))

    assert (60.0, 3600.0) == (new.timeout, new.delay)


def test_the_payload_is_taken_at_once() -> None:
    """
    A later change of the caller's dict does not reach it.
    """
    given = {"to": ["ada"]}
    new = NewTask(type="email:send", payload=given)

    given["to"].append("eve")

    assert {"to": ["ada"]} == new.encoded.decoded()


def test_a_new_task_can_be_made_from_another() -> None:
    """
    With its payload encoded anew.
    """
    new = replace(new_task(), payload=[1], priority=3)

    assert ([1], 3, "email:send") == (new.encoded.decoded(), new.priority, new.type)


def test_tags_are_kept_as_a_tuple() -> None:
    """
    However they were given.
    """
    assert ("a", "b *") == new_task(tags=["a", "b *"]).tags
