"""Calls: what a job and its catalog put around a handler, in which order, and what becomes of what they raise."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from app import (
    Job,
    JobCall,
    JobCatalog,
    TaskContext,
    TaskStatus,
)
from app.infra.settings import Settings
from tests.worker.conftest import QUICK
from tests.worker.story import Story, ran

BOTH = pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])


@pytest.fixture
def settings() -> Settings:
    """Short times, in memory: nothing here is about the database."""
    return Settings(in_memory=True, **QUICK)


@pytest.fixture
def story() -> Story:
    return Story()


class Payload(BaseModel):
    number: int


@BOTH
async def test_what_is_around_a_handler_is_called_from_the_outside_in(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """The catalog's before the job's, each in the order given; what comes afterwards is told inside out."""
    jobs = JobCatalog(
        middleware=[story.middleware("catalog 1"), story.middleware("catalog 2")],
        before=[story.before("of the catalog")],
        after=[story.after("of the catalog")],
    )
    jobs.define(
        "job",
        middleware=[story.middleware("job")],
        before=[story.before("of the job"), story.before("of the job, too")],
        after=[story.after("of the job"), story.after("of the job, too")],
    )(story.handler(asynchronous=asynchronous))

    found = await ran(settings, jobs)

    assert (TaskStatus.COMPLETED, "result") == (found.status, found.result)
    assert [
        "catalog 1 in",
        "catalog 2 in",
        "job in",
        "before of the catalog",
        "before of the job",
        "before of the job, too",
        "handler",
        "after of the job",
        "after of the job, too",
        "after of the catalog",
        "job out",
        "catalog 2 out",
        "catalog 1 out",
    ] == story.lines


@BOTH
async def test_hooks_are_told_of_a_failure_inside_out(settings: Settings, story: Story, asynchronous: bool) -> None:
    """With the error itself; those for the end of a good attempt are not called."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")], after=[story.after("of the catalog")])
    jobs.define("job", on_error=[story.on_error("job")])(
        story.handler(asynchronous=asynchronous, raises=ZeroDivisionError())
    )

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, "ZeroDivisionError") == (found.status, found.errors[0].type)
    assert ["handler", "job: ZeroDivisionError", "catalog: ZeroDivisionError"] == story.lines


@pytest.mark.parametrize("hooks", ["async", "plain"])
@BOTH
async def test_the_class_form_has_the_same_hooks(settings: Settings, asynchronous: bool, hooks: str) -> None:
    """They get the payload as execute does; plain ones beside a plain handler are called in its thread."""
    told: list[tuple[Any, ...]] = []

    class Told(Job[Payload, Any]):
        def before_execute(self, payload: Payload, context: TaskContext) -> Awaitable[None] | None:
            return self._tell("before", payload)

        def after_execute(self, payload: Payload, context: TaskContext, result: Any) -> Awaitable[None] | None:
            return self._tell("after", payload, result)

        def on_error(self, payload: Payload, context: TaskContext, error: BaseException) -> Awaitable[None] | None:
            return self._tell("error", payload, str(error))

        def _tell(self, *line: Any) -> Awaitable[None] | None:
            async def tell() -> None:
                told.append(line)

            if hooks == "async":
                return tell()
            told.append(line)
            return None

    class Awaited(Told):
        async def execute(self, payload: Payload, context: TaskContext) -> int:
            return 10 // payload.number

    class Threaded(Told):
        def execute(self, payload: Payload, context: TaskContext) -> int:
            return 10 // payload.number

    class ThreadedWithAwaitedHook(Threaded):
        async def before_execute(self, payload: Payload, context: TaskContext) -> None:
            told.append(("before", payload))

    form = Awaited if asynchronous else Threaded if hooks == "plain" else ThreadedWithAwaitedHook
    jobs = JobCatalog()
    jobs.add(form("job"))
    good = await ran(settings, jobs, payload={"number": 5})
    await ran(settings, jobs, payload={"number": 0}, max_attempts=1)

    five, zero = Payload(number=5), Payload(number=0)
    assert 2 == good.result
    assert [
        ("before", five),
        ("after", five, 2),
        ("before", zero),
        ("error", zero, "integer division or modulo by zero"),
    ] == told


def _raises(*arguments: Any) -> None:
    raise ZeroDivisionError("in a hook")


async def _araises(*arguments: Any) -> None:
    raise ZeroDivisionError("in a hook")


@BOTH
@pytest.mark.parametrize("where", ["before", "after", "middleware"])
@pytest.mark.parametrize("hook", [_raises, _araises])
async def test_a_hook_or_middleware_that_raises_fails_the_attempt(
    settings: Settings, story: Story, asynchronous: bool, where: str, hook: Any
) -> None:
    """Visibly: the task shows its error and where it came from, and hooks of failures hear of it."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    policies: Any = {where: [hook]}
    jobs.define("job", **policies)(story.handler(asynchronous=asynchronous))

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, "in a hook") == (found.status, found.errors[0].message)
    assert hook.__name__ in found.errors[0].traceback
    assert (["handler"] if where == "after" else []) + ["catalog: ZeroDivisionError"] == story.lines


@BOTH
async def test_an_error_hook_that_raises_is_noted_and_changes_nothing(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """The others are still told, and the task shows both errors."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job", on_error=[_raises])(story.handler(asynchronous=asynchronous, raises=KeyError("gone")))

    found = await ran(settings, jobs, max_attempts=1)

    assert "KeyError" == found.errors[0].type
    assert "an on_error hook failed, too: ZeroDivisionError: in a hook" in found.errors[0].traceback
    assert ["handler", "catalog: KeyError"] == story.lines


@BOTH
async def test_a_middleware_may_answer_in_the_place_of_the_handler(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """It may leave it out, replace what it returned, or make a result of what it raised."""

    async def swallows(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return attempt.payload

    async def replaces(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return [await inner(), attempt.task.type]

    async def forgives(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await inner()
        except ZeroDivisionError as error:
            return str(error)

    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    raising = story.handler(asynchronous=asynchronous, raises=ZeroDivisionError("forgiven"))
    jobs.define("swallowed", middleware=[swallows])(raising)
    jobs.define("replaced", middleware=[replaces])(story.handler(asynchronous=asynchronous))
    jobs.define("forgiven", middleware=[forgives])(raising)

    results = [(await ran(settings, jobs, type, "payload")).result for type in ("swallowed", "replaced", "forgiven")]

    assert ["payload", ["result", "replaced"], "forgiven"] == results
    assert ["handler", "handler"] == story.lines


async def test_a_result_that_a_middleware_replaced_must_fit_the_model(settings: Settings, story: Story) -> None:
    """What is stored is what comes out of the outermost layer."""

    async def replaces(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return "no payload"

    jobs = JobCatalog()
    jobs.define("job", result=Payload, middleware=[replaces])(story.handler(asynchronous=True))

    found = await ran(settings, jobs)

    assert (TaskStatus.FAILED, 1) == (found.status, found.attempts)
    assert "the handler ran, with all its effects, and returned what does not fit" in (found.error or "")
