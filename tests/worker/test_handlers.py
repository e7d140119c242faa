"""Handlers that cannot work: refused at their definition, or failed for good with a sentence on what to do."""

from typing import Any

import pytest
from pydantic import BaseModel

from app import (
    Constant,
    InvalidJob,
    JobCatalog,
    TaskContext,
    TaskStatus,
)
from app.infra.settings import Settings
from tests.worker.conftest import QUICK
from tests.worker.story import ran


@pytest.fixture
def settings() -> Settings:
    """Short times, in memory: nothing here is about the database."""
    return Settings(in_memory=True, **QUICK)


class Payload(BaseModel):
    number: int


@pytest.mark.parametrize("around", ["nothing", "a hook", "an asynchronous hook", "a model"])
async def test_a_plain_handler_that_returns_a_coroutine_fails_for_good_and_hears_why(
    settings: Settings, around: str
) -> None:
    """Nobody would await it, on no attempt."""
    told: list[Any] = []

    async def work() -> None:
        told.append("ran")

    async def hook(payload: Any, context: TaskContext) -> None: ...

    options: dict[str, Any] = {
        "nothing": {},
        "a hook": {"after": [lambda payload, context, result: told.append(result)]},
        "an asynchronous hook": {"before": [hook]},
        "a model": {"result": Payload},
    }
    jobs = JobCatalog()
    jobs.define("job", retry=Constant(0), **options[around])(lambda payload, context: work())

    found = await ran(settings, jobs)

    assert (TaskStatus.FAILED, 1, []) == (found.status, found.attempts, told)
    assert found.errors[0].type.endswith("FailForGood")
    assert "returned a coroutine, which nobody awaits: make it `async def`" in found.errors[0].message


@pytest.mark.parametrize(
    ("handler", "rule"),
    [
        (lambda: None, "must take payload and context"),
        (lambda payload: None, "must take payload and context"),
        (lambda *, payload, context: None, "must take payload and context"),
        (lambda payload, context, service, /: None, "services are given by name"),
    ],
)
def test_a_handler_with_another_signature_is_refused_at_its_definition(handler: Any, rule: str) -> None:
    """Naming the job and what is wanted of it."""
    with pytest.raises(InvalidJob, match=f"'email:send'.*{rule}") as refused:
        JobCatalog().define("email:send")(handler)

    assert "email:send" == refused.value.type


def test_a_handler_that_takes_anything_is_a_handler() -> None:
    """A decorated function often has no other signature; what has a default is nobody's business."""

    def anything(*args: Any, **kwargs: Any) -> None: ...

    def with_default(payload: Any, context: TaskContext, limit: int = 5) -> None: ...

    jobs = JobCatalog()
    assert [{}, {}] == [jobs.define(str(number))(form).services for number, form in enumerate([anything, with_default])]
