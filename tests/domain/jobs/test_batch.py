"""BatchJob: what a batch may be defined as, and what is said of it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.batch import BatchJob, BatchResult, ItemsFailed
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import InvalidJob


class Good(BatchJob[list[int], int, str]):
    """Says its numbers."""

    def items(self, payload: list[int], context: TaskContext) -> list[int]:
        return payload

    def process(self, item: int, context: TaskContext) -> str:
        return str(item)


def changed(**attributes: Any) -> type[Good]:
    return type("Changed", (Good,), attributes)


def some(self: Any, items: Sequence[int], context: TaskContext) -> None:
    """Process them."""


def test_a_batch_knows_its_models_by_its_brackets() -> None:
    """
    Payload, item and result, also of a class that inherits them; the item's is nobody's business.
    """

    class Child(Good):
        concurrency = 2

    job = JobCatalog().add(Child("child", priority=3, version=2))

    assert (list[int], str, BatchResult[str]) == (job.payload, job.item_result, job.result)
    assert (3, 2, 2, 1, "continue") == (
        job.priority,
        job.version,
        job.concurrency,
        job.batch_size,
        job.on_item_error,
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: changed(items=BatchJob.items)("bad"), "without an items method"),
        (lambda: changed(process=BatchJob.process)("bad"), "either a process or a process_batch"),
        (lambda: changed(process_batch=some)("bad"), "either a process or a process_batch"),
        (lambda: changed(batch_size=2)("bad"), "no process_batch method"),
        (lambda: changed(on_item_error="ignore")("bad"), "'continue' or 'stop', not 'ignore'"),
        (lambda: changed(process=lambda self, item: item)("bad"), "must take payload and context"),
        (lambda: Good("bad", lambda payload, context: None), "no other handler"),
        (lambda: Good("bad", result=BatchResult), "stands in its brackets"),
        (lambda: Good("bad", transactional=True), "neither isolation nor transactional"),
        (lambda: Good("bad", isolation="process"), "neither isolation nor transactional"),
    ],
)
def test_a_batch_that_cannot_work_is_refused_at_its_definition(make: Callable[[], object], rule: str) -> None:
    """
    With the job's name and the rule.
    """
    with pytest.raises(InvalidJob, match=f"^job 'bad': .*{rule}"):
        make()


@pytest.mark.parametrize(("name", "value"), [("concurrency", 0), ("concurrency", 1.5), ("concurrency", 1_001)])
def test_a_concurrency_that_is_none_is_refused(name: str, value: Any) -> None:
    """
    As any other number of a job is.
    """
    with pytest.raises(InvalidInput, match=name):
        changed(**{name: value})("bad")


@pytest.mark.parametrize("size", [0, 10_001, True])
def test_a_batch_size_that_is_none_is_refused(size: Any) -> None:
    """
    From one to ten thousand.
    """
    with pytest.raises(InvalidInput, match="batch_size"):
        changed(process=BatchJob.process, process_batch=some, batch_size=size)("bad")


def test_items_that_failed_are_summed_up() -> None:
    """
    The first three in full, the others and those that were not run by their number.
    """
    errors = {index: f"ValueError: {index}" for index in range(5)}

    few = ItemsFailed(BatchResult(total=9, succeeded=8, failed=1, errors={4: "ValueError: x"}))
    many = ItemsFailed(BatchResult(total=1_000, succeeded=3, failed=500, errors=errors))

    assert "1 of 9 items failed: item 4: ValueError: x" == str(few)
    assert (
        "500 of 1000 items failed, 497 were not run: item 0: ValueError: 0; item 1: ValueError: 1;"
        " item 2: ValueError: 2; and 497 more"
    ) == str(many)
