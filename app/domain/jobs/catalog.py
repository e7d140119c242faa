"""JobCatalog: every job an application knows, by type."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from app.domain.errors import QueueError
from app.domain.jobs.job import Handler, Job
from app.domain.names import matches
from app.domain.retries import DEFAULT_RETRY, RetryPolicy, ShouldRetry

H = TypeVar("H", bound=Handler)


class DuplicateJob(QueueError):
    """Two jobs were defined under one type."""

    def __init__(self, type: str) -> None:
        self.type = type
        super().__init__(f"A job of type {type!r} is already defined in this catalog; every type has one handler")


class JobCatalog:
    """An object the application makes, fills by decorating functions, and hands to the container."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def define(
        self,
        type: str,
        *,
        timeout: float | None = None,
        max_attempts: int | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
        should_retry: ShouldRetry | None = None,
    ) -> Callable[[H], H]:
        """Register the decorated function as the handler of *type*; the function itself stays as it was.

        Parameters as in Job. Raises InvalidInput, DuplicateJob.
        """

        def register(handler: H) -> H:
            self.add(
                Job(
                    type=type,
                    handler=handler,
                    timeout=timeout,
                    max_attempts=max_attempts,
                    retry=retry,
                    should_retry=should_retry,
                )
            )
            return handler

        return register

    def add(self, job: Job) -> None:
        """Register *job*. Raises DuplicateJob."""
        if job.type in self._jobs:
            raise DuplicateJob(job.type)
        self._jobs[job.type] = job

    def get(self, type: str) -> Job | None:
        return self._jobs.get(type)

    def types(self, patterns: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The types defined here that fit any of *patterns* (all of them when there are none), sorted."""
        return tuple(
            sorted(name for name in self._jobs if not patterns or any(matches(pattern, name) for pattern in patterns))
        )

    def merged(self, other: "JobCatalog") -> "JobCatalog":
        """A new catalog with the jobs of both. Raises DuplicateJob."""
        both = JobCatalog()
        for job in (*self, *other):
            both.add(job)
        return both

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, type: object) -> bool:
        return type in self._jobs
