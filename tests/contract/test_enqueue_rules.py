"""The rules of enqueueing, case by case; ``tests/infra/postgres/test_sql_rules.py`` holds SQL to the same."""

import pytest

from app.domain.errors import InvalidInput
from app.usecases.tasks.enqueue import EnqueueTask
from tests.contract.cases_of_enqueue import BAD, GOOD, Case
from tests.contract.subject import Queue


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_what_is_allowed_is_stored(queue: Queue, case: Case) -> None:
    """
    One task, with what was asked for.
    """
    task = queue.uow.run(EnqueueTask(queue.enqueueing), **case.in_python)

    found = queue.find(task)
    for name in {*case.in_python} - {"delay", "tags", "max_attempts"}:
        assert repr(case.in_python[name]) == repr(getattr(found, name)) or case.in_python[name] == getattr(found, name)
    assert tuple(case.in_python.get("tags", ())) == found.tags


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_is_not_allowed_is_refused_by_its_name(queue: Queue, case: Case) -> None:
    """
    The error names the field, and nothing is stored.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.uow.run(EnqueueTask(queue.enqueueing), **case.in_python)

    field = case.refused or ""
    assert (refused.value.field.rstrip("…"), 0) == (field[: len(refused.value.field.rstrip("…"))], queue.stats().total)
