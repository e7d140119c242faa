"""Job: what its definition takes and refuses, and what it does while it belongs to no queue."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import CatalogNotBound, DuplicateJob, InvalidJob, JobNotInCatalog
from app.domain.jobs.job import Job


@dataclass
class Mail:
    """A payload."""

    to: str


class Sent(TypedDict):
    """A result."""

    id: str


class SendMail(Job[Mail, Sent]):
    """The class form."""

    async def execute(self, payload: Mail, context: TaskContext) -> Sent:
        return Sent(id=payload.to)


class Mailer:
    """A service."""


class Calling:
    """An object that is called."""

    async def __call__(self, payload: Mail, context: TaskContext) -> Sent:
        return Sent(id=payload.to)


class CallingMail:
    """Another."""

    async def __call__(self, payload: Mail, context: TaskContext) -> Mail:
        return payload


def send(payload: Mail, context: TaskContext) -> Sent:
    """Sends a mail."""
    return Sent(id=payload.to)


def test_a_job_is_still_the_function_that_it_was_made_of() -> None:
    """Called, it calls it, with nothing around; its docstring is the function's."""
    job = JobCatalog().define("mail", payload=Mail)(send)

    assert Sent(id="ada") == job(Mail("ada"), None)
    assert "Sends a mail." == job.__doc__
    assert "Job('mail', send)" == repr(job)


async def test_a_class_makes_jobs_that_know_their_models() -> None:
    """Those in its brackets; one class makes as many jobs as it is asked for."""
    jobs = JobCatalog()
    first, second = jobs.add(SendMail("mail:one")), jobs.add(SendMail("mail:two", max_attempts=1))

    assert (Mail, Sent, True) == (first.payload, first.result, first.is_asynchronous)
    assert (None, 1) == (first.max_attempts, second.max_attempts)
    assert Sent(id="ada") == await first(Mail("ada"), None)


def test_a_class_can_be_defined_in_place() -> None:
    """Decorated as a function is."""
    jobs = JobCatalog()

    @jobs.define("mail", timeout=5)
    class Send(Job[Mail, None]):
        """Sends."""

        def execute(self, payload: Mail, context: TaskContext) -> None:
            return None

    job: Any = Send  # to the type checker it is still the class
    assert (Mail, type(None), 5.0) == (job.payload, job.result, job.timeout)
    assert job is jobs.get("mail")


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Job("mail"), "neither a handler nor an execute method"),
        (lambda: Job("mail", lambda: None), "must take payload and context"),
        (lambda: Job("mail", lambda payload: None), "must take payload and context"),
        (lambda: Job("mail", lambda *, payload, context: None), "must take payload and context"),
        (lambda: Job("mail", lambda payload, context, mailer, /: None), "services are given by name"),
        (lambda: JobCatalog().add(send), "is no Job"),  # type: ignore[type-var]  # what is refused
        (lambda: Job("mail", send, version=2).upcast(2)(lambda payload: payload), "cannot upcast from version 2"),
    ],
)
def test_a_job_that_cannot_work_is_refused_at_its_definition(make: Callable[[], Any], rule: str) -> None:
    """Naming the job and the rule."""
    with pytest.raises(InvalidJob, match=rule) as refused:
        make()

    assert refused.value.type in ("mail", str(send))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"queue": ""}, "queue"),
        ({"priority": "high"}, "priority"),
        ({"version": 0}, "version"),
        ({"unique": "user"}, "unique"),
        ({"keep": 7}, "keep"),
        ({"isolation": "thread"}, "isolation"),
        ({"middleware": send}, "middleware"),
        ({"before": [1]}, "before"),
        ({"should_retry": True}, "should_retry"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused_by_name(options: dict[str, Any], field: str) -> None:
    """With nothing added to the catalog."""
    jobs = JobCatalog()

    with pytest.raises(InvalidInput) as refused:
        jobs.define("mail", **options)(send)

    assert (field, 0) == (refused.value.field, len(jobs))


def test_an_unknown_option_is_refused() -> None:
    """As Python refuses it, and the type checker before."""
    with pytest.raises(TypeError, match="colour"):
        JobCatalog().define("mail", colour="red")(send)  # type: ignore[call-overload]  # what is refused


@pytest.mark.parametrize("handler", [send, Calling(), partial(send), SendMail("other").execute])
def test_anything_that_is_called_with_payload_and_context_is_a_handler(handler: Any) -> None:
    """And is asynchronous if calling it is."""
    job: Job[Mail, Sent] = Job("mail", handler, payload=Mail)

    assert (handler is not send and not isinstance(handler, partial)) == job.is_asynchronous
    assert {} == job.services


def test_further_parameters_without_a_default_are_services() -> None:
    """By name, with what they are annotated as."""

    def handler(
        payload: Mail, context: TaskContext, mailer: Mailer, other: "Mailer", *, again: int = 3, last: str, **rest: Any
    ) -> None: ...

    assert {"mailer": Mailer, "other": Mailer, "last": str} == Job("mail", handler).services


def returns_mail(payload: Mail, context: TaskContext) -> Mail:
    return payload


def returns_any(payload: Mail, context: TaskContext) -> Any:
    return payload


def returns_json(payload: Mail, context: TaskContext) -> dict[str, list[int]] | None:
    return None


def returns_nothing_known(payload: Mail, context: TaskContext) -> "Unknown":  # type: ignore[name-defined] # noqa: F821
    return payload


def returns_perhaps(payload: Mail, context: TaskContext) -> Mail | None:
    return None


async def returns_many(payload: Mail, context: TaskContext) -> list[Mail]:
    return [payload]


@pytest.mark.parametrize(
    ("handler", "model"),
    [
        (returns_mail, Mail),
        (CallingMail(), Mail),
        (send, None),  # a TypedDict is a dict
        (returns_perhaps, Mail | None),
        (returns_many, list[Mail]),
        (returns_any, None),
        (returns_json, None),
        (returns_nothing_known, None),
        (lambda payload, context: None, None),
        (partial(send), None),
    ],
)
def test_what_the_handler_of_a_typed_job_returns_is_its_result(handler: Any, model: Any) -> None:
    """As the type checker has it, unless it is JSON anyway; a model that is given goes before."""
    typed: Job[Mail, Any] = Job("mail", handler, payload=Mail)
    given: Job[Mail, Any] = Job("mail", handler, payload=Mail, result=int)
    plain: Job[Any, Any] = Job("mail", handler)

    assert (model, int, None) == (typed.result, given.result, plain.result)


def test_a_type_is_defined_once_in_either_form() -> None:
    """The first stays."""
    jobs = JobCatalog()
    first = jobs.add(SendMail("mail"))

    with pytest.raises(DuplicateJob, match="'mail' is already defined"):
        jobs.define("mail")(send)
    with pytest.raises(DuplicateJob):
        jobs.add(SendMail("mail"))

    assert first is jobs.get("mail")


def test_a_job_belongs_to_one_catalog() -> None:
    """In another one it would be enqueued who knows where."""
    jobs, others = JobCatalog(), JobCatalog()
    job = jobs.add(SendMail("mail"))

    with pytest.raises(InvalidJob, match="belongs to another catalog already"):
        others.add(job)

    assert (jobs, 0) == (job.catalog, len(others))


def test_a_job_of_no_queue_says_so() -> None:
    """In one sentence: what is missing, and how to mend it."""
    with pytest.raises(CatalogNotBound) as unbound:
        JobCatalog().add(SendMail("mail")).enqueue(Mail("ada"))
    with pytest.raises(JobNotInCatalog) as stray:
        SendMail("mail").enqueue(Mail("ada"))

    assert "job 'mail' does not know its queue yet: build TaskQueueContainer(…, jobs=…) with its catalog first" == str(
        unbound.value
    )
    assert "job 'mail' is in no catalog: define it with jobs.define(…), or jobs.add(…) it" == str(stray.value)


def test_a_catalog_is_copied_by_nobody() -> None:
    """The jobs in an application's hands would not be those of the copy."""
    jobs = JobCatalog()

    assert jobs is copy.deepcopy({"jobs": jobs})["jobs"]


def test_a_binding_can_be_put_back() -> None:
    """Of a merged catalog, that of each that it was merged of."""
    one, other, third = JobCatalog(), JobCatalog(), JobCatalog()
    one.bind(lambda: "first")  # type: ignore[arg-type, return-value]  # any queue is told apart
    merged = one.merged(other).merged(third)

    restore = merged.binding()
    merged.bind(lambda: "second")  # type: ignore[arg-type, return-value]  # as above
    during: list[Any] = [catalog.queue for catalog in (merged, one, other, third)]
    restore()
    after: list[Any] = [catalog.queue for catalog in (merged, one, other, third)]

    assert ["second"] * 4 == during
    assert [None, "first", None, None] == after
