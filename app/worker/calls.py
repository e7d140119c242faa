"""Calls: how the handler of a job is called, with all that its definition puts around it."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.jobs.answers import CancelTask, FailForGood, Snooze
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import InvalidJob
from app.domain.jobs.job import Job
from app.domain.jobs.options import Middleware
from app.domain.jobs.schemas import Schema, Schemas, Unfit
from app.domain.jobs.services import Services
from app.domain.jobs.signature import is_coroutine_function
from app.domain.tasks.task import WorkerTask

_log = logging.getLogger("app.worker")

Offload = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a plain function in a thread, and is awaited for what it returns."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an attempt calls: ``function(payload, context)``, on the event loop if it is asynchronous."""

    function: Callable[[Any, TaskContext], Any]
    is_asynchronous: bool


@dataclass(slots=True)
class Attempted:
    """Implements JobCall: what a middleware is told."""

    task: WorkerTask
    payload: Any
    context: TaskContext


class Calls:
    """The calls of a catalog, made once and before anything runs, so that what cannot work is said then."""

    def __init__(self, jobs: JobCatalog, schemas: Schemas, services: Services, offload: Offload) -> None:
        """Raises InvalidJob."""
        self._schemas = schemas
        self._services = services
        self._offload = offload
        self._calls = {job.type: self._call(job) for job in jobs}

    def of(self, job: Job[Any, Any]) -> Call:
        call = self._calls.get(job.type)
        if call is None:  # defined since
            call = self._calls[job.type] = self._call(job)
        return call

    def _call(self, job: Job[Any, Any]) -> Call:
        job.upcasts.check()
        if job.is_plain:
            # Nothing is around it: a job that uses none of this pays for none of it.
            return Call(job.handler, job.is_asynchronous)
        layers = _Layers(job, self._schemas, _found(job, self._services))
        if job.is_asynchronous or layers.must_await:
            return Call(_Awaited(layers, self._offload), True)
        return Call(_Plain(layers), False)


def _found(job: Job[Any, Any], services: Services) -> Mapping[str, Callable[[], Any]]:
    found = {}
    for name, annotation in job.services.items():
        try:
            found[name] = services.find(name, annotation)
        except LookupError as error:
            raise InvalidJob(job.type, f"its handler asks for the service {name!r}: {error.args[0]}") from error
    return found


class _Layers:
    """What is around a handler, read off its job and its catalog; the outer ones first."""

    def __init__(self, job: Job[Any, Any], schemas: Schemas, services: Mapping[str, Callable[[], Any]]) -> None:
        self.job = job
        self.services = services
        self.payload: Schema | None = None if job.payload is None else schemas.of(job.payload)
        self.result: Schema | None = None if job.result is None else schemas.of(job.result)
        catalog = job.catalog
        self.middleware: tuple[Middleware, ...] = (*(catalog.middleware if catalog else ()), *job.middleware)
        self.before = (*(catalog.before if catalog else ()), *job.before)
        # Inside out, as what wraps: the job's own hear first how it ended.
        self.after = (*job.after, *(catalog.after if catalog else ()))
        self.errored = (*job.errored, *(catalog.errored if catalog else ()))

    @property
    def must_await(self) -> bool:
        return bool(self.middleware) or any(map(is_coroutine_function, (*self.before, *self.after, *self.errored)))

    def read(self, payload: Any, context: TaskContext) -> Any:
        """The payload as the handler gets it. One that does not fit will not fit the next time either."""
        try:
            payload = self.job.upcasts.upcast(payload, context.task.version)
            return payload if self.payload is None else self.payload.from_json(payload, field="payload")
        except Unfit as error:
            raise FailForGood(str(error)) from error
        except LookupError as error:
            raise FailForGood(error.args[0] if error.args else repr(error)) from error

    def written(self, result: Any) -> Any:
        """The result as JSON."""
        if self.result is None:
            return result
        try:
            return self.result.to_json(result, field="result")
        except Unfit as error:
            if inspect.iscoroutine(result):
                result.close()
            raise FailForGood(
                f"the handler ran, with all its effects, and returned what does not fit: {error}"
            ) from error


class _Plain:
    """A plain function with plain hooks: all of it in one thread."""

    def __init__(self, layers: _Layers) -> None:
        self._layers = layers

    def __call__(self, payload: Any, context: TaskContext) -> Any:
        layers = self._layers
        given = layers.read(payload, context)
        try:
            services = {name: find() for name, find in layers.services.items()}
            for before in layers.before:
                before(given, context)
            result = layers.job.handler(given, context, **services)
            for after in layers.after:
                after(given, context, result)
        except Exception as error:
            if is_failure(error):
                for errored in layers.errored:
                    try:
                        errored(given, context, error)
                    except Exception as broken:
                        _note(error, broken)
            raise
        return layers.written(result)


class _Awaited:
    """Anything else, on the event loop; a plain function in between runs in a thread."""

    def __init__(self, layers: _Layers, offload: Offload) -> None:
        self._layers = layers
        self._offload = offload

    async def __call__(self, payload: Any, context: TaskContext) -> Any:
        layers = self._layers
        given = layers.read(payload, context)
        attempted = Attempted(context.task, given, context)
        inner: Callable[[], Awaitable[Any]] = partial(self._innermost, given, context)
        for middleware in reversed(layers.middleware):
            inner = partial(middleware, attempted, inner)
        try:
            result = await inner()
        except Exception as error:
            if is_failure(error):
                for errored in layers.errored:
                    try:
                        await self._hook(errored, given, context, error)
                    except Exception as broken:
                        _note(error, broken)
            raise
        return layers.written(result)

    async def _innermost(self, given: Any, context: TaskContext) -> Any:
        layers = self._layers
        services = {}
        for name, find in layers.services.items():
            service = find()
            services[name] = await service if inspect.isawaitable(service) else service
        for before in layers.before:
            await self._hook(before, given, context)
        if layers.job.is_asynchronous:
            result = await layers.job.handler(given, context, **services)
        else:
            result = await self._offload(partial(layers.job.handler, given, context, **services))
        for after in layers.after:
            await self._hook(after, given, context, result)
        return result

    async def _hook(self, hook: Callable[..., Any], *arguments: Any) -> None:
        if is_coroutine_function(hook):
            await hook(*arguments)
        else:
            # Plain hooks of an asynchronous handler run on the loop: they are brief, or should be async def.
            answer = hook(*arguments)
            if inspect.isawaitable(answer):
                await answer


def is_failure(error: BaseException) -> bool:
    """Whether *error* is a failed attempt, and not an answer such as Snooze."""
    return not isinstance(error, Snooze | CancelTask | asyncio.CancelledError)


def _note(error: BaseException, broken: BaseException) -> None:
    error.add_note(f"an on_error hook failed, too: {type(broken).__name__}: {broken}")
    _log.error("An on_error hook failed", exc_info=broken)
