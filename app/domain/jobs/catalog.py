"""JobCatalog: every job an application knows, by type."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Concatenate, Protocol, TypeVar, Unpack, overload

from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import DuplicateJob, InvalidJob
from app.domain.jobs.job import Handler, Job
from app.domain.jobs.options import After, Before, JobOptions, Middleware, OnError
from app.domain.jobs.queue import JobQueue
from app.domain.names import matches
from app.domain.schedules.definition import ScheduleDefinition, ScheduledOptions
from app.domain.schedules.errors import DuplicateSchedule
from app.domain.schedules.misfire import MisfireRule
from app.domain.schedules.overlap import Overlap
from app.domain.schedules.timetable import Dst
from app.domain.tasks.deaths import Death, DeathReason

P = TypeVar("P")
R = TypeVar("R")
J = TypeVar("J", bound=Job[Any, Any])


class Defining(Protocol[P]):
    """The decorator of a job whose payload has a model, and whose result is what the handler says."""

    @overload
    def __call__(self, handler: Callable[Concatenate[P, TaskContext, ...], Awaitable[R]]) -> Job[P, R]: ...

    @overload
    def __call__(self, handler: Callable[Concatenate[P, TaskContext, ...], R]) -> Job[P, R]: ...


class JobCatalog:
    """An object the application makes, fills by decorating functions, and hands to the container.

    ``middleware``, ``before``, ``after`` and ``on_error`` are for every job in it, around those of its own: the first
    middleware is the outermost, then hooks are called before, in this order, and after in it, too.
    """

    def __init__(
        self,
        *,
        middleware: Sequence[Middleware] = (),
        before: Sequence[Before] = (),
        after: Sequence[After] = (),
        on_error: Sequence[OnError] = (),
    ) -> None:
        self._jobs: MutableMapping[str, Job[Any, Any]] = {}
        self._schedules: dict[str, ScheduleDefinition] = {}
        self._of: tuple[JobCatalog, ...] = ()
        self._queue: Callable[[], JobQueue] | None = None
        self.middleware = tuple(middleware)
        self.before = tuple(before)
        self.after = tuple(after)
        self.errored = tuple(on_error)

    @overload
    def define(
        self, type: str, *, payload: type[P], result: type[R], **options: Unpack[JobOptions]
    ) -> Callable[[Callable[Concatenate[P, TaskContext, ...], Awaitable[R] | R]], Job[P, R]]: ...

    @overload
    def define(
        self, type: str, *, payload: type[P], result: None = None, **options: Unpack[JobOptions]
    ) -> Defining[P]: ...

    @overload
    def define(
        self, type: str, *, payload: None = None, result: type[R], **options: Unpack[JobOptions]
    ) -> Callable[[Callable[Concatenate[Any, TaskContext, ...], Awaitable[R] | R]], Job[Any, R]]: ...

    @overload
    def define(
        self, type: str, *, payload: None = None, result: None = None, **options: Unpack[JobOptions]
    ) -> Callable[[Any], Job[Any, Any]]: ...

    def define(
        self, type: str, *, payload: Any = None, result: Any = None, **options: Unpack[JobOptions]
    ) -> Callable[[Any], Job[Any, Any]]:
        """Make a job of the decorated function, or class, and add it. Parameters as in Job.

        Calling the job calls the function. Raises InvalidInput, InvalidJob, DuplicateJob.
        """

        def register(form: Handler) -> Job[Any, Any]:
            if inspect.isclass(form) and issubclass(form, Job):
                return self.add(form(type, payload=payload, result=result, **options))
            return self.add(Job(type, form, payload=payload, result=result, **options))

        return register

    def add(self, job: J) -> J:
        """Add *job*, and return it. Raises DuplicateJob, InvalidJob."""
        if not isinstance(job, Job):
            raise InvalidJob(str(job), "is no Job: define it with jobs.define(…), or make one of its class")
        if job.type in self._jobs:
            raise DuplicateJob(job.type)
        if job.catalog is not None:
            raise InvalidJob(job.type, "belongs to another catalog already: make another job, or merge the catalogs")
        self._jobs[job.type] = job
        job.join(self)
        return job

    def schedule(
        self,
        job: Job[Any, Any],
        *,
        cron: str | None = None,
        every: float | timedelta | None = None,
        at: datetime | None = None,
        anchor: datetime | None = None,
        timezone: str = "UTC",
        payload: Any = None,
        key: str | None = None,
        misfire: MisfireRule = "one",
        overlap: Overlap = "allow",
        jitter: float | timedelta = 0,
        dst: Dst = "shift",
        enabled: bool = True,
        **options: Unpack[ScheduledOptions],
    ) -> ScheduleDefinition:
        """Have a task of *job* enqueued by the clock, wherever a worker runs with this catalog.

        Exactly one of *cron*, *every* and *at*; see Plan for these and the rest. *payload* is an instance of the job's
        model, or JSON. *key* names the schedule, and is the job's type unless said. *options* are those of its tasks:
        what is not said comes from the job. Each tick gets one task, however many workers there are. Raises
        InvalidSchedule, DuplicateSchedule; what a field of the cron expression may hold, and whether the payload fits,
        is looked at when a worker starts, which is refused then.
        """
        type = str(getattr(job, "type", job))
        if self._jobs.get(type) is not job:
            raise InvalidJob(type, "cannot be scheduled by a catalog that it is not in")
        definition = ScheduleDefinition.of(
            key,
            type=job.type,
            payload=payload,
            options={"queue": job.queue, "priority": job.priority, **options},
            cron=cron,
            every=every,
            at=at,
            anchor=anchor,
            timezone=timezone,
            dst=dst,
            misfire=misfire,
            overlap=overlap,
            jitter=jitter,
            enabled=enabled,
        )
        if definition.key in self._schedules:
            raise DuplicateSchedule(definition.key)
        self._schedules[definition.key] = definition
        return definition

    @property
    def schedules(self) -> Sequence[ScheduleDefinition]:
        """The schedules defined here, and in the catalogs that this one was merged of. Raises DuplicateSchedule."""
        found: dict[str, ScheduleDefinition] = {}
        for catalog in self._all():
            for key, definition in catalog._schedules.items():
                if key in found:
                    raise DuplicateSchedule(key)
                found[key] = definition
        return tuple(found.values())

    @property
    def by_type(self) -> MutableMapping[str, Job[Any, Any]]:
        """The jobs themselves, for a view of them."""
        return self._jobs

    @property
    def application(self) -> "JobCatalog":
        """What of it the application has defined: all of it, but see KnownJobs."""
        return self

    def get(self, type: str) -> Job[Any, Any] | None:
        return self._jobs.get(type)

    def types(self, patterns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The types defined here that fit any of *patterns* (all of them when there are none), sorted."""
        return tuple(
            sorted(name for name in self._jobs if not patterns or any(matches(pattern, name) for pattern in patterns))
        )

    def versions(self, types: Sequence[str]) -> tuple[int, ...]:
        """The version of each of *types*, which are defined here; nothing when all are in their first."""
        versions = tuple(self._jobs[type].version for type in types)
        return versions if any(version > 1 for version in versions) else ()

    def death(self, type: str, reason: DeathReason) -> Death:
        """How tasks of *type* die; of a type that is not defined here, as most do."""
        job = self.get(type)
        return Death(reason) if job is None else job.death(reason)

    def bind(self, queue: Callable[[], JobQueue]) -> None:
        """From now on these jobs are enqueued there; called by the container that is built with this catalog."""
        self._queue = queue
        for catalog in self._of:
            catalog.bind(queue)

    def binding(self) -> Callable[[], None]:
        """A function that binds these jobs again as they are bound now, for whoever binds them for a while: a test."""
        kept = [(catalog, catalog._queue) for catalog in self._all()]

        def restore() -> None:
            for catalog, queue in kept:
                catalog._queue = queue

        return restore

    @property
    def queue(self) -> JobQueue | None:
        """Where these jobs are enqueued; None before a container was built with them."""
        return None if self._queue is None else self._queue()

    def merged(self, other: "JobCatalog") -> "JobCatalog":
        """A catalog with the jobs of both, each with what its own puts around it, and the schedules of both.

        Raises DuplicateJob, DuplicateSchedule.
        """
        both = JobCatalog()
        both._of = (self, other)
        for job in (*self, *other):
            if job.type in both:
                raise DuplicateJob(job.type)
            both._jobs[job.type] = job
        _ = both.schedules  # two of one key are found here
        return both

    def _all(self) -> "Iterator[JobCatalog]":
        """This one and those that it was merged of."""
        yield self
        for catalog in self._of:
            yield from catalog._all()

    def __deepcopy__(self, memo: Any) -> "JobCatalog":
        """Itself: a container that is given to another one is copied with all that it holds, and the jobs in an
        application's hands belong to this catalog."""
        return self

    def __iter__(self) -> Iterator[Job[Any, Any]]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, type: object) -> bool:
        return type in self._jobs
