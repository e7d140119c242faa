"""JobCatalog and Job: what an application defines, checked as it is defined."""

from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.errors import DuplicateJob
from app.domain.jobs.job import Job
from app.domain.retries import DEFAULT_RETRY, Constant


def handler(payload: Any, context: Any) -> None:
    """Does nothing."""


def catalog_of(*types: str) -> JobCatalog:
    catalog = JobCatalog()
    for type in types:
        catalog.define(type)(handler)
    return catalog


def test_a_decorated_function_becomes_a_job_of_the_catalog() -> None:
    """
    With what was said about it, and the defaults for the rest.
    """
    catalog = JobCatalog()
    retry = Constant(1)

    same = catalog.define("email:send", timeout=60, max_attempts=5, retry=retry)(handler)

    job = catalog.get("email:send")
    assert job is not None
    assert (job, handler) == (same, job.handler)
    assert (60.0, 5, retry, None) == (job.timeout, job.max_attempts, job.retry, job.should_retry)
    assert DEFAULT_RETRY is Job(type="a", handler=handler).retry


def test_a_type_is_defined_once() -> None:
    """
    The second definition is refused by name and the first stays.
    """
    catalog = catalog_of("email:send")

    with pytest.raises(DuplicateJob, match="email:send") as refused:
        catalog.define("email:send")(lambda payload, context: None)

    assert ("email:send", handler) == (refused.value.type, catalog.get("email:send").handler)  # type: ignore[union-attr]


def test_types_are_selected_by_patterns() -> None:
    """
    All without any, those that fit one of them otherwise, sorted.
    """
    catalog = catalog_of("report:b", "email:send", "report:a", "http")

    assert ("email:send", "http", "report:a", "report:b") == catalog.types()
    assert ("email:send", "report:a", "report:b") == catalog.types(("report:*", "email:*", "report:a"))
    assert () == catalog.types(("nothing",))


def test_a_catalog_knows_what_it_holds() -> None:
    """
    By type, by number, and one after the other.
    """
    catalog = catalog_of("a", "b")

    assert (2, True, False, None) == (len(catalog), "a" in catalog, "c" in catalog, catalog.get("c"))
    assert ["a", "b"] == [job.type for job in catalog]


def test_catalogs_can_be_merged() -> None:
    """
    Into a third, unless both define the same.
    """
    one, other = catalog_of("a"), catalog_of("b")

    assert (("a", "b"), ("a",)) == (one.merged(other).types(), one.types())
    with pytest.raises(DuplicateJob):
        one.merged(catalog_of("a"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "email:*"}, "type"),
        ({"type": ""}, "type"),
        ({"handler": "a function's name"}, "handler"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "60"}, "timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"retry": 5}, "retry"),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused(changes: dict[str, Any], field: str) -> None:
    """
    When it is defined, not when it runs.
    """
    known: dict[str, Any] = {"type": "email:send", "handler": handler}

    with pytest.raises(InvalidInput) as refused:
        Job(**known | changes)

    assert field == refused.value.field
