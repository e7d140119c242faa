"""The rules of enqueueing, case by case; ``tests/infra/postgres/test_sql_rules.py`` holds SQL to the same."""

from datetime import timedelta

import pytest

from app.domain.errors import InvalidInput
from app.usecases.tasks.enqueue import EnqueueTask
from tests.contract.cases_of_enqueue import BAD, GOOD, Case
from tests.contract.subject import Queue
from tests.examples import NOON


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_what_is_allowed_is_stored(queue: Queue, case: Case) -> None:
    """
    One task, with what was asked for.
    """
    task = queue.uow.run(EnqueueTask(queue.enqueueing), **case.in_python)

    found = queue.find(task)
    asked = {"max_attempts": 3} | {name: value for name, value in case.in_python.items() if value is not None}
    delay = asked.pop("delay", 0)
    assert tuple(asked.pop("tags", ())) == found.tags
    assert "scheduled_at" in asked or timedelta(seconds=delay) == found.scheduled_at - NOON
    assert asked == {name: getattr(found, name) for name in asked}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_is_not_allowed_is_refused_by_its_name(queue: Queue, case: Case) -> None:
    """
    The error names the field, and nothing is stored.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.uow.run(EnqueueTask(queue.enqueueing), **case.in_python)

    assert (case.refused, 0) == (refused.value.field, queue.stats().total)
