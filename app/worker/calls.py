"""Calls: how the handler of a job is called, with all that its definition puts around it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.jobs.batch import BatchJob
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import InvalidJob
from app.domain.jobs.injection import Services
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Schemas
from app.domain.jobs.sessions import NoSessions, Sessions
from app.usecases.transaction import UnitOfWork
from app.worker.batch import Batch
from app.worker.layers import Awaited, Layers, Offload, Plain, handler_of
from app.worker.sessions import NO_SESSIONS, JobSessions

Isolate = Callable[[Job[Any, Any], Schemas], Callable[[Any, TaskContext], Awaitable[Any]]]
"""Makes of a job what is awaited for its result, from a process of its own. Raises InvalidJob."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an attempt calls: ``function(payload, context)``, on the event loop if it is asynchronous.

    ``has_grace`` says that the handler runs in a thread or a process, where it hears that its task is cancelled and may
    end by itself. ``on_failure``, given the error too, tells the hooks of one that the function does not see: of a
    timeout from which it does not come back, or of what came after it.
    """

    function: Callable[[Any, TaskContext], Any]
    is_asynchronous: bool
    sessions: JobSessions = NO_SESSIONS
    on_failure: Callable[[Any, TaskContext, BaseException], Any] | None = None
    has_grace: bool = False


class Calls:
    """The calls of a catalog, each made once, when it is first asked for.

    Who runs for long has them all made before anything runs, so that what cannot work is said then; who comes for one
    task neither pays for all the other jobs nor depends on them. Without *isolate* every handler runs in this process,
    whatever its job says.
    """

    def __init__(
        self,
        jobs: JobCatalog,
        schemas: Schemas,
        services: Services,
        offload: Offload,
        isolate: Isolate | None = None,
        *,
        sessions: Sessions | None = None,
        unit_of_work: UnitOfWork | None = None,
    ) -> None:
        """Transactional jobs are settled by *unit_of_work* in a session of *sessions*."""
        self._jobs = jobs
        self._sessions = sessions or NoSessions()
        self._unit_of_work = unit_of_work
        self._schemas = schemas
        self._services = services
        self._offload = offload
        self._isolate = isolate
        self._calls: dict[str, Call] = {}

    def make_all(self) -> None:
        """Raises InvalidJob when there is one that cannot work here."""
        for job in self._jobs:
            self.of(job)

    def of(self, job: Job[Any, Any]) -> Call:
        """Raises InvalidJob when it cannot work here."""
        call = self._calls.get(job.type)
        if call is None:
            call = self._calls[job.type] = self._call(job)
        return call

    def _call(self, job: Job[Any, Any]) -> Call:
        job.upcasts.check()
        sessions = JobSessions.of(job, self._sessions, self._unit_of_work)
        if job.is_plain:
            # Nothing is around it: a job that uses none of this pays for none of it.
            return Call(handler_of(job), job.is_asynchronous, sessions, has_grace=not job.is_asynchronous)
        layers = Layers(job, self._schemas, _found(job, self._services))
        if isinstance(job, BatchJob):
            layers.handler, layers.is_asynchronous = Batch(job, self._schemas, self._offload), True
        if job.isolation is not None and self._isolate is not None:
            layers.isolated = self._isolate(job, self._schemas)
        if layers.is_asynchronous or layers.must_await:
            awaited = Awaited(layers, self._offload)
            has_grace = not job.is_asynchronous or layers.isolated is not None
            return Call(awaited, True, sessions, awaited.failed if layers.errored else None, has_grace)
        plain = Plain(layers)
        return Call(plain, False, sessions, plain.failed if layers.errored else None, has_grace=True)


def _found(job: Job[Any, Any], services: Services) -> Mapping[str, Callable[[], Any]]:
    found = {}
    for name, annotation in job.services.items():
        try:
            found[name] = services.find(name, annotation)
        except LookupError as error:
            raise InvalidJob(job.type, f"its handler asks for the service {name!r}: {error.args[0]}") from error
    return found
