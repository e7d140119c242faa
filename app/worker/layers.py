"""Layers: what is around the handler of a job, and in which order it is called, in a thread and on the event loop."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.jobs.answers import FailForGood, PayloadInvalid
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import InvalidJob
from app.domain.jobs.job import Handler, Job
from app.domain.jobs.options import Middleware
from app.domain.jobs.schemas import Schema, Schemas, Unfit, schema_for
from app.domain.jobs.signature import is_coroutine_function
from app.domain.jobs.versions import UpcastFailed
from app.domain.tasks.task import WorkerTask
from app.worker.failing import cannot_be_stored, close, failure_of, note
from app.worker.soft_timeout import softly_timed

Offload = Callable[[Callable[[], Any], TaskContext], Awaitable[Any]]
"""Runs a plain function of the attempt of this context in a thread, and is awaited for what it returns."""


@dataclass(slots=True)
class Attempted:
    """Implements JobCall: what a middleware is told."""

    task: WorkerTask
    payload: Any
    context: TaskContext


def handler_of(job: Job[Any, Any]) -> Handler:
    """The job's handler; one on the event loop is stopped there at its soft timeout."""
    return job.handler if job.soft_timeout is None or not job.is_asynchronous else softly_timed(job.handler)


class Layers:
    """What is around a handler, read off its job and its catalog; the outer ones first."""

    def __init__(self, job: Job[Any, Any], schemas: Schemas, services: Mapping[str, Callable[[], Any]]) -> None:
        self.job = job
        self.handler = handler_of(job)
        self.is_asynchronous = job.is_asynchronous
        self.services = services
        self.isolated: Callable[[Any, TaskContext], Awaitable[Any]] | None = None
        self.payload: Schema | None = None if job.payload is None else schema_for(job.type, job.payload, schemas)
        self.result: Schema | None = None if job.result is None else schema_for(job.type, job.result, schemas)
        catalog = job.catalog
        self.middleware: tuple[Middleware, ...] = (*(catalog.middleware if catalog else ()), *job.middleware)
        self.before = (*(catalog.before if catalog else ()), *job.before)
        # Inside out, as what wraps: the job's own hear first how it ended.
        self.after = (*job.after, *(catalog.after if catalog else ()))
        self.errored = (*job.errored, *(catalog.errored if catalog else ()))

    @property
    def must_await(self) -> bool:
        around = (*self.before, *self.after, *self.errored)
        return self.isolated is not None or bool(self.middleware) or any(map(is_coroutine_function, around))

    def read(self, payload: Any, context: TaskContext) -> Any:
        """The payload as the handler gets it. One that does not fit will not fit the next time either."""
        try:
            payload = self.job.upcasts.upcast(payload, context.task.version)
            return payload if self.payload is None else self.payload.from_json(payload, field="payload")
        except (Unfit, UpcastFailed) as error:
            raise PayloadInvalid(str(error)) from error

    def written(self, result: Any) -> Any:
        """The result as JSON."""
        if self.result is None:
            return result
        try:
            stored = self.result.to_json(result, field="result")
            # What cannot be read back would be stored for nobody. (A payload is read at its enqueue.)
            self.result.from_json(stored, field="result")
            return stored
        except Unfit as error:
            close(result)
            raise FailForGood(
                f"the handler ran, with all its effects, and returned what does not fit: {error}"
            ) from error


class Plain:
    """A plain function with plain hooks: all of it in one thread."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def __call__(self, payload: Any, context: TaskContext) -> Any:
        layers = self._layers
        given = payload  # as it is stored, for hooks that hear of one which cannot be read
        try:
            given = layers.read(payload, context)
            services = {name: self._service(name, find) for name, find in layers.services.items()}
            for before in layers.before:
                before(given, context)
            result = _answer(layers.job.handler(given, context, **services), context)
            for after in layers.after:
                after(given, context, result)
            return layers.written(result)
        except BaseException as error:
            if layers.errored and (failure := failure_of(error, context)) is not None:
                self._tell(given, context, failure)
            raise

    def failed(self, payload: Any, context: TaskContext, error: BaseException) -> None:
        """In any thread; raises nothing."""
        try:
            self._tell(self._layers.read(payload, context), context, error)
        except BaseException as broken:
            note(error, broken)

    def _tell(self, given: Any, context: TaskContext, failure: BaseException) -> None:
        for errored in self._layers.errored:
            try:
                errored(given, context, failure)
            except Exception as broken:
                note(failure, broken)

    def _service(self, name: str, find: Callable[[], Any]) -> Any:
        service = find()
        if inspect.isawaitable(service):
            close(service)
            rule = f"the service {name!r} must be awaited, which a handler in a thread cannot: make it async def"
            raise InvalidJob(self._layers.job.type, rule)
        return service


class Awaited:
    """Anything else, on the event loop; a plain function in between runs in a thread."""

    def __init__(self, layers: Layers, offload: Offload) -> None:
        self._layers = layers
        self._offload = offload

    async def __call__(self, payload: Any, context: TaskContext) -> Any:
        layers = self._layers
        given = payload
        try:
            given = layers.read(payload, context)
            attempted = Attempted(context.task, given, context)
            inner: Callable[[], Awaitable[Any]] = partial(self._innermost, given, context)
            for middleware in reversed(layers.middleware):
                inner = partial(middleware, attempted, inner)
            return layers.written(await inner())
        except BaseException as error:
            if layers.errored and (failure := failure_of(error, context)) is not None:
                await self._tell(given, context, failure)
            raise

    async def failed(self, payload: Any, context: TaskContext, error: BaseException) -> None:
        """Raises nothing."""
        try:
            await self._tell(self._layers.read(payload, context), context, error)
        except BaseException as broken:  # SystemExit would end the loop
            note(error, broken)

    async def _tell(self, given: Any, context: TaskContext, failure: BaseException) -> None:
        for errored in self._layers.errored:
            try:
                await self._hook(errored, given, context, failure)
            except Exception as broken:
                note(failure, broken)

    async def _innermost(self, given: Any, context: TaskContext) -> Any:
        layers = self._layers
        services = {}
        for name, find in layers.services.items():
            service = find()
            services[name] = await service if inspect.isawaitable(service) else service
        for before in layers.before:
            await self._hook(before, given, context)
        if layers.isolated is not None:
            result = await layers.isolated(given, context)
        elif layers.is_asynchronous:
            result = await layers.handler(given, context, **services)
        else:

            def handle() -> Any:
                if context.abandoned or context.cancelled:  # before the thread got to it
                    raise asyncio.CancelledError
                return layers.handler(given, context, **services)

            result = _answer(await self._offload(handle, context), context)
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


def _answer(result: Any, context: TaskContext) -> Any:
    """What a plain handler returned, if that is still of interest."""
    if inspect.isawaitable(result):
        raise cannot_be_stored(result)
    if context.abandoned:
        raise asyncio.CancelledError
    return result
