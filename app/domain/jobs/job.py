"""Job: the inert definition of a kind of work."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, Unpack

from app.domain.errors import InvalidInput
from app.domain.jobs.context import TaskContext
from app.domain.jobs.dead_letter import DeadLetter
from app.domain.jobs.errors import CatalogNotBound, InvalidJob, JobNotInCatalog, named
from app.domain.jobs.generics import models_of
from app.domain.jobs.handle import TaskHandle
from app.domain.jobs.isolation import check_isolated
from app.domain.jobs.keep import Keep
from app.domain.jobs.options import After, Before, EnqueueOptions, Isolation, JobOptions, Middleware, OnError
from app.domain.jobs.queue import Home, JobQueue
from app.domain.jobs.schemas import Schema, schema_for
from app.domain.jobs.signature import is_coroutine_function, result_of, services_of
from app.domain.jobs.unique import Unique
from app.domain.jobs.verbs import JobVerbs
from app.domain.jobs.versions import Upcasts
from app.domain.moments import checked_seconds
from app.domain.names import checked_name
from app.domain.numbers import checked_whole_number
from app.domain.retries import DEFAULT_RETRY, RetryPolicy, ShouldRetry
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.new import MAX_VERSION
from app.domain.tasks.task import WorkerTask

_OPTIONS = frozenset(EnqueueOptions.__annotations__)

P = TypeVar("P")
R = TypeVar("R")

Handler = Callable[..., Any]
"""``handler(payload, context, **services) -> result``; ``def`` runs in a thread, ``async def`` on the worker's loop."""


class Job(JobVerbs[P, R], Generic[P, R]):
    """A type name, a handler and its policies. It does nothing by itself, and may be imported anywhere.

    Made by ``@jobs.define(…)`` of a function, or as a class: a subclass of ``Job[Payload, Result]`` with ``execute``
    (and ``before_execute``, ``after_execute``, ``on_error`` where wanted), of which
    ``jobs.add(SendEmail("email:send"))`` makes a job. Calling a job calls its handler, with nothing around it.

    ``payload`` and ``result`` are models: pydantic models, dataclasses, TypedDicts (of typing_extensions before Python
    3.12), any type that describes data; without them both are any JSON. Where a payload has one, what the handler says
    it returns is the model of the result unless another is given. ``queue`` and ``priority`` are those of its tasks
    unless a caller says otherwise. ``timeout`` is seconds per attempt; it and ``max_attempts`` yield to what a caller
    says at enqueue, and stand before the settings. ``soft_timeout``, less than that, is when SoftTimeout is raised
    inside the handler, which may catch it; one in a thread hears of it by ``context.check()``. ``retry`` and
    ``should_retry`` decide after a failed attempt. ``version`` is that of the payload's model, see upcast. ``unique``
    says when one task of it is enough, ``keep`` how long its ended tasks are kept, dead letters aside. ``ttl`` is the
    seconds after falling due within which a task of it must be started. ``dead_letter`` says whether tasks that end for
    good are kept as dead letters, or under which queue they are filed, or more: see DeadLetter. ``transactional`` lets
    what the handler writes with ``context.session`` and the completion of its task commit together.
    ``isolation="process"`` runs the handler in a process of its own. Hooks and ``middleware`` are called in the order
    given, inside those of the catalog. Parameters of the handler beside payload and context that have no default are
    services, found in the container by name or type. Raises InvalidInput, InvalidJob.
    """

    def __init__(
        self,
        type: str,
        handler: Handler | None = None,
        *,
        payload: type[P] | None = None,
        result: type[R] | None = None,
        **options: Unpack[JobOptions],
    ) -> None:
        self.type = checked_name("type", type)
        self.catalog: Home | None = None
        self._set_handler(handler)
        self._set_models(payload, result)
        self._set_policies(**options)

    def _set_handler(self, handler: Handler | None) -> None:
        if handler is None:
            if self.__class__.execute is Job.execute:
                raise InvalidJob(self.type, "has neither a handler nor an execute method")
            handler = self.execute
        if not callable(handler):
            raise InvalidInput("handler", handler, "must be a function of payload and context")
        if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
            raise InvalidJob(self.type, f"the handler {named(handler)} is a generator, of which nothing would run")
        self.handler: Handler = handler
        self.is_asynchronous = is_coroutine_function(handler)
        """Whether the handler is ``async def``, as a function or as the ``__call__`` of an object."""
        self.services: Mapping[str, Any] = services_of(handler, self.type)
        """The services that the handler asks for: names, with their annotations."""
        self.__doc__ = handler.__doc__ or self.__class__.__doc__

    def _set_models(self, payload: Any, result: Any) -> None:
        models = models_of(self.__class__, Job) or (None, None)
        self.payload = payload if payload is not None else models[0]
        self.result = result if result is not None else models[1]
        if self.result is None and payload is not None and self.__class__.execute is Job.execute:
            # Whoever enqueues is promised what the handler says it returns, and that may be no JSON.
            self.result = result_of(self.handler)

    def _set_policies(
        self,
        *,
        queue: str = "default",
        priority: int = 0,
        timeout: Any = None,
        soft_timeout: Any = None,
        max_attempts: int | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
        should_retry: ShouldRetry | None = None,
        version: int = 1,
        unique: Unique | None = None,
        keep: Keep | None = None,
        ttl: Any = None,
        dead_letter: bool | str | DeadLetter = True,
        transactional: bool = False,
        isolation: Isolation | None = None,
        middleware: Sequence[Middleware] = (),
        before: Sequence[Before] = (),
        after: Sequence[After] = (),
        on_error: Sequence[OnError] = (),
    ) -> None:
        self.queue = checked_name("queue", queue)
        self.priority = checked_whole_number("priority", priority)
        self.timeout: float | None = None if timeout is None else checked_seconds("timeout", timeout, positive=True)
        self.soft_timeout = _checked_soft_timeout(soft_timeout, self.timeout)
        self.max_attempts = None if max_attempts is None else checked_whole_number("max_attempts", max_attempts, low=1)
        if not callable(retry):
            raise InvalidInput("retry", retry, "must be a policy such as Exponential() or a function")
        self.retry = retry
        if should_retry is not None and not callable(should_retry):
            raise InvalidInput("should_retry", should_retry, "must be a function of the error")
        self.should_retry = should_retry
        self.version = checked_whole_number("version", version, low=1, high=MAX_VERSION)
        self.upcasts = Upcasts(self.type, self.version)
        self.unique = _instance("unique", unique, Unique)
        self.keep = _instance("keep", keep, Keep)
        self.ttl = None if ttl is None else checked_seconds("ttl", ttl, positive=True)
        if not isinstance(dead_letter, bool | DeadLetter):
            checked_name("dead_letter", dead_letter)
        self.dead_letter = dead_letter
        self.transactional = transactional
        if isolation not in (None, "process"):
            raise InvalidInput("isolation", isolation, "must be 'process', or nothing")
        if isolation is not None:
            check_isolated(self.type, self.handler, self.services, transactional=transactional)
        self.isolation = isolation
        self.middleware = _callables("middleware", middleware)
        self.before = _callables("before", before) + self._own(Job.before_execute)
        self.after = _callables("after", after) + self._own(Job.after_execute)
        self.errored = _callables("on_error", on_error) + self._own(Job.on_error)

    def execute(self, payload: P, context: TaskContext) -> R | Awaitable[R]:
        """The work, in the class form."""
        raise NotImplementedError

    def before_execute(self, payload: P, context: TaskContext) -> Awaitable[None] | None:
        """Called before ``execute``, in the class form; may be ``async def``. What it raises fails the attempt."""

    def after_execute(self, payload: P, context: TaskContext, result: R) -> Awaitable[None] | None:
        """Called when ``execute`` has returned, before the task completes; what it raises fails the attempt."""

    def on_error(self, payload: P, context: TaskContext, error: BaseException) -> Awaitable[None] | None:
        """Called when the attempt has failed; what it raises is noted on the error, and changes nothing else."""

    def upcast(self, version: int) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Register the decorated function as the way from payloads (JSON) of *version* to those of the next.

        Raises InvalidJob for a version that has no next one here, or has a way already.
        """
        return self.upcasts.add(version)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler, as the plain function it is."""
        return self.handler(*args, **kwargs)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing around the handler, so that it can be called as it is."""
        catalog = self.catalog
        return not (
            (catalog is not None and (catalog.middleware or catalog.before or catalog.after or catalog.errored))
            or self.payload is not None
            or self.result is not None
            or self.version > 1
            or self.services
            or self.transactional
            or self.isolation
            or self.middleware
            or self.before
            or self.after
            or self.errored
        )

    def death(self, reason: DeathReason) -> Death:
        """How a task of this job dies."""
        match self.dead_letter:
            case DeadLetter() as kept:
                return Death(reason, queue=kept.queue, alert=kept.raised)
            case str() as queue:
                return Death(reason, queue=queue)
            case kept_at_all:
                return Death(reason, is_letter=kept_at_all)

    def join(self, catalog: Home) -> None:
        """Belong to *catalog*, which has added this job."""
        self.catalog = catalog

    @property
    def bound_to(self) -> JobQueue:
        if self.catalog is None:
            raise JobNotInCatalog(self.type)
        if self.catalog.queue is None:
            raise CatalogNotBound(self.type)
        return self.catalog.queue

    def asked(self, payload: P, options: EnqueueOptions) -> dict[str, Any]:
        schema = self.schema_of(self.payload)
        json = payload if schema is None else schema.to_json(payload, field="payload")
        self.schema_of(self.result)  # what is wrong with it must be said before anything is stored
        if unknown := options.keys() - _OPTIONS:
            name = min(unknown)
            rule = f"is no option of a task of job {self.type!r}: there are {', '.join(sorted(_OPTIONS))}"
            raise InvalidInput(name, dict(options)[name], rule)
        return {"queue": self.queue, "priority": self.priority, **options, "type": self.type, "payload": json}

    def handle(self, task: WorkerTask) -> TaskHandle[R]:
        return TaskHandle(task, self.bound_to, self.schema_of(self.result))

    def schema_of(self, model: Any) -> Schema | None:
        return None if model is None else schema_for(self.type, model, self.bound_to.schemas)

    def _own(self, hook: Any) -> tuple[Any, ...]:
        """The method of a subclass that overrides *hook*, if there is one."""
        own = getattr(self, hook.__name__)
        return () if getattr(own, "__func__", None) is hook else (own,)

    def __repr__(self) -> str:
        return f"Job({self.type!r}, {named(self.handler)})"


def _checked_soft_timeout(value: Any, timeout: float | None) -> float | None:
    if value is None:
        return None
    seconds = checked_seconds("soft_timeout", value, positive=True)
    if timeout is not None and seconds >= timeout:
        raise InvalidInput("soft_timeout", value, f"must be less than the timeout, which is {timeout:g} s")
    return seconds


def _instance(field: str, value: Any, kind: type) -> Any:
    if value is not None and not isinstance(value, kind):
        raise InvalidInput(field, value, f"must be a {kind.__name__}")
    return value


def _callables(field: str, values: Any) -> tuple[Any, ...]:
    if callable(values) or not isinstance(values, Sequence) or not all(map(callable, values)):
        raise InvalidInput(field, values, "must be a list of functions")
    return tuple(values)
