"""Unique keys and who has them: the rules, without anything that is stored."""

from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.unique import Unique
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import MAX_KEY, Holding, unique_key
from tests.examples import NOON, a_task


def key_of(value: Any, **said: Any) -> str:
    return unique_key("job", Unique(key=lambda payload: value, **said), {})


def test_a_key_stands_behind_its_namespace() -> None:
    """
    So that no two that differ in either are the same.
    """
    keys = {
        unique_key("job", Unique(), {}),
        *(key_of(value) for value in ("", "a", "\ta", "x" * MAX_KEY, "x" * (MAX_KEY + 1), "x" * (MAX_KEY + 2))),
        *(key_of(value, namespace="job2") for value in ("", "a")),
    }

    assert 9 == len(keys)
    assert max(map(len, keys)) <= len("job") + 1 + MAX_KEY


def test_a_key_is_the_value_of_an_enumeration() -> None:
    """
    Which has a word of its own for itself.
    """

    class Plan(StrEnum):
        FREE = "free"

    class Level(IntEnum):
        LOW = 1

    assert [key_of("free"), key_of("1"), key_of(1)] == [key_of(Plan.FREE), key_of(Level.LOW), key_of("1")]


def test_an_error_of_the_key_function_is_chained_and_names_the_job() -> None:
    """
    Whatever it was.
    """
    with pytest.raises(InvalidInput, match=r"job 'job': the key function failed on this payload, ZeroDiv") as refused:
        unique_key("job", Unique(key=lambda payload: 1 / 0), {})

    assert isinstance(refused.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("status", "after", "holds", "stale"),
    [
        (TaskStatus.PENDING, 0, True, False),
        (TaskStatus.PENDING, 10, False, True),
        (TaskStatus.FAILED, 0, False, False),
        (TaskStatus.CANCELLED, 0, False, False),
        (TaskStatus.COMPLETED, 0, False, True),
        (None, 0, False, True),
    ],
)
def test_who_has_a_key_holds_it_for_a_time_and_in_some_statuses(
    status: TaskStatus | None, after: int, holds: bool, stale: bool
) -> None:
    """
    It is stale when it will not be held again: what failed or was cancelled may be retried.
    """
    task = None if status is None else a_task(status=status)
    terms = frozenset({TaskStatus.PENDING, TaskStatus.RUNNING})
    holding = Holding("key", a_task().id, NOON, NOON + timedelta(seconds=10), terms)
    now = NOON + timedelta(seconds=after)

    assert (holds, stale) == (holding.holds(task, now), holding.is_stale(task, now))


def test_an_existing_task_is_a_task_that_says_so() -> None:
    """
    And a copy: what it is made of stays what it was.
    """
    task = a_task(tags=("a",))

    existing = ExistingTask.of(task)

    assert (True, False) == (isinstance(existing, WorkerTask), isinstance(task, ExistingTask))
    assert (task.id, ("a",), task.scheduled_at) == (existing.id, existing.tags, existing.scheduled_at)
    assert "ExistingTask" in repr(existing)
