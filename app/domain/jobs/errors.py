"""Errors about jobs: how they are defined, and what became of their tasks."""

from typing import Any

from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.tasks.status import TaskStatus


class InvalidJob(QueueError, TypeError):
    """A job is defined in a way that cannot work; said at its definition, or when a worker or a queue first sees it."""

    def __init__(self, type: str, rule: str) -> None:
        self.type = type
        self.rule = rule
        super().__init__(f"job {type!r}: {rule}")


class DuplicateJob(QueueError):
    """Two jobs were defined under one type."""

    def __init__(self, type: str) -> None:
        self.type = type
        super().__init__(f"A job of type {type!r} is already defined in this catalog; every type has one handler")


class CatalogNotBound(QueueError):
    """A job was to be enqueued or run, and its catalog belongs to no queue yet."""

    def __init__(self, type: str) -> None:
        self.type = type
        super().__init__(
            f"job {type!r} does not know its queue yet: build TaskQueueContainer(…, jobs=…) with its catalog first"
        )


class JobNotInCatalog(QueueError):
    """A job was enqueued that no catalog holds: it was made and never added, or its catalog forgot it."""

    def __init__(self, type: str) -> None:
        self.type = type
        super().__init__(f"job {type!r} is in no catalog: define it with jobs.define(…), or jobs.add(…) it")


class UnknownType(QueueError, LookupError):
    """A task was to be run here, and this catalog has no job of its type."""

    def __init__(self, type: str, known: tuple[str, ...]) -> None:
        self.type = type
        self.known = known
        super().__init__(f"no job of type {type!r} is defined here: {', '.join(known) or 'none is'}")


class NewerVersion(QueueError, LookupError):
    """A task was to be run here, and its payload is of a version that its job here does not know yet."""

    def __init__(self, type: str, version: int, known: int) -> None:
        self.type = type
        self.version = version
        self.known = known
        super().__init__(
            f"the payload is of version {version}, and job {type!r} knows {known} here: run it in newer code"
        )


class LoopIsRunning(QueueError, RuntimeError):
    """A call that blocks was made on a running event loop; ``instead`` is the one to await there."""

    def __init__(self, called: str, instead: str) -> None:
        self.instead = instead
        super().__init__(f"{called} would block the running event loop: await {instead} instead")


class AttemptTimedOut(QueueError, TimeoutError):
    """The attempt took longer than its timeout, in seconds."""

    heard = False
    """Whether the job's on_error hooks have been told."""

    def __init__(self, timeout: float, said: str | None = None) -> None:
        self.timeout = timeout
        super().__init__(said or f"no result within {timeout:g} s")


class SoftTimeout(QueueError):
    """Raised inside a handler at the soft timeout of its job: it may catch this, and finish before the hard one.

    ``attempt`` counts from 1; ``seconds`` is the soft timeout.
    """

    # No TimeoutError, which handlers catch when a call of their own took too long.

    def __init__(self, attempt: int, seconds: float) -> None:
        self.attempt = attempt
        self.seconds = seconds
        super().__init__(f"attempt {attempt} has reached its soft timeout of {seconds:g} s")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.attempt, self.seconds)


class AttemptCancelled(QueueError):
    """Raised by ``context.check()`` in a handler whose task was cancelled; let through, it ends the attempt."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        super().__init__(f"the task was cancelled during attempt {attempt}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.attempt,)


class TaskNotFinished(QueueError, TimeoutError):
    """The task has not ended within the time its result was waited for; it goes on, and may be asked again."""

    def __init__(self, task_id: TaskId, status: TaskStatus, timeout: float) -> None:
        self.task_id = task_id
        self.status = status
        super().__init__(f"task {task_id} is {status} after {timeout:g} s of waiting: it has no result yet")


_ENDED = {TaskStatus.FAILED: "has failed", TaskStatus.CANCELLED: "was cancelled"}


class TaskDidNotComplete(QueueError):
    """The task has ended without a result."""

    def __init__(self, task_id: TaskId, status: TaskStatus, error: str | None) -> None:
        self.task_id = task_id
        self.status = status
        self.error = error
        super().__init__(f"task {task_id} {_ENDED.get(status, f'is {status}')}" + (f": {error}" if error else ""))


class ResultExpired(QueueError, LookupError):
    """The task is not there: it has ended and was not kept that long, or it was enqueued in a transaction that has not
    committed."""

    def __init__(self, task_id: TaskId) -> None:
        self.task_id = task_id
        super().__init__(
            f"the result of task {task_id} is not kept any more, or the transaction that enqueued it has not committed"
        )


def named(value: Any) -> str:
    """How a model, function or class is called in messages."""
    return getattr(value, "__qualname__", None) or repr(value)
