"""Run: a job in isolation, for one attempt, with a context that writes down what the handler does with it."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from app.container import TaskQueueContainer
from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed
from app.domain.tasks.task import WorkerTask
from app.infra.settings import Settings
from app.testing.blocking import finished
from app.worker.failing import cannot_be_stored
from app.worker.here import in_thread

P = TypeVar("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

WORKER_ID = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun(Outcome[R_co]):
    """How the attempt went: beside the outcome what the handler said meanwhile, in order.

    ``progress`` has a percentage and a line, or None, for each report, ``log`` lines such as ``INFO sent``, of every
    level.
    """

    progress: list[tuple[float, str | None]]
    log: list[str]


def run_job(
    job: Job[P, R],
    payload: P,
    *,
    services: Any = None,
    session: Any = None,
    attempt: int = 1,
    max_attempts: int | None = None,
    correlation_id: str | None = None,
    shutting_down: bool = False,
    cancelled: bool = False,
    elapsed: float = 0.0,
) -> JobRun[R]:
    """Run *job* once with all that its definition puts around the handler, and nothing else: no queue, no timeout.

    The payload is written and read again on the way, as it would be, and the result too. *services* as in TrialQueue;
    *session* is what ``context.session`` is, and stays the caller's, to commit or to roll back; *attempt* is which one
    it is, of *max_attempts*; *shutting_down* and *cancelled* what the context answers when it is asked; *elapsed* the
    seconds that the attempt has taken when it begins, by which the job's soft timeout may have passed (nothing happens
    at the other one). Where an event loop is running it stands still meanwhile: see arun_job. Raises Unfit, InvalidJob;
    what the handler raises is in the outcome.
    """
    return finished(
        lambda: arun_job(
            job,
            payload,
            services=services,
            session=session,
            attempt=attempt,
            max_attempts=max_attempts,
            correlation_id=correlation_id,
            shutting_down=shutting_down,
            cancelled=cancelled,
            elapsed=elapsed,
        ),
        called="run_job()",
    )


async def arun_job(
    job: Job[P, R],
    payload: P,
    *,
    services: Any = None,
    session: Any = None,
    attempt: int = 1,
    max_attempts: int | None = None,
    correlation_id: str | None = None,
    shutting_down: bool = False,
    cancelled: bool = False,
    elapsed: float = 0.0,
) -> JobRun[R]:
    """Like run_job, on the running event loop."""
    # A queue that nobody knows: of it the parts that an attempt is made of are taken.
    tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=JobCatalog(), services=services)
    schemas, limit = tasks.schemas(), tasks.settings().worker_max_payload
    call = tasks.calls(in_thread).of(job)
    given = payload if job.payload is None else schemas.of(job.payload).to_json(payload, field="payload")
    task = WorkerTask(
        id=tasks.new_ids()(1)[0],
        type=job.type,
        payload=JsonText.of(given, field="payload").decoded(),
        queue=job.queue,
        priority=job.priority,
        attempts=attempt - 1,
        max_attempts=max_attempts or job.max_attempts or tasks.settings().worker_max_attempts,
        timeout=job.timeout,
        scheduled_at=datetime.now(UTC),
        created_at=datetime.now(UTC),
        correlation_id=correlation_id,
        version=job.version,
    )
    task.claim(WORKER_ID, now=datetime.now(UTC))
    if cancelled:
        task.cancel(now=datetime.now(UTC))
    notes = _Notes(task)
    began = time.monotonic()
    context = _TrialContext(
        task,
        WORKER_ID,
        shutting_down=lambda: shutting_down,
        report=notes.report,
        timeout=job.timeout,
        soft_timeout=job.soft_timeout,
        elapsed=lambda: elapsed + time.monotonic() - began,
    )
    context.cancelled = cancelled
    context.given = session
    context.log.logger = _Scribe(context.log.logger, notes.log)
    ended: Completed | BaseException
    try:
        attempted = partial(call.function, task.payload, context)
        ended = _completed(await attempted() if call.is_asynchronous else await in_thread(attempted), limit)
    except (Exception, SystemExit) as error:
        ended = error
    duration = time.monotonic() - began
    failed = None if isinstance(ended, Completed) else ended
    task.settle(ended if isinstance(ended, Completed) else verdict(ended, task, job), now=datetime.now(UTC))
    result = None if failed or job.result is None else schemas.of(job.result).from_json(task.result, field="result")
    return JobRun(
        result=task.result if job.result is None else result,
        error=failed,
        task=task,
        duration=duration,
        progress=notes.progress,
        log=notes.log,
    )


def _completed(returned: Any, limit: int) -> Completed:
    try:
        return Completed(JsonText.of(returned, field="result", limit=limit))
    except InvalidInput as error:
        raise cannot_be_stored(returned, error) from error


class _TrialContext(TaskContext):
    """A context with the session that a test has handed in."""

    __slots__ = ("given",)

    given: Any

    @property
    def session(self) -> Any:
        if self.given is None:
            raise InvalidInput("session", None, "must be handed to run_job: this handler asks for it")
        return self.given


class _Notes:
    """What a handler said while it ran."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self.progress: list[tuple[float, str | None]] = []
        self.log: list[str] = []

    def report(self, percent: float | None, message: str | None, checkpoint: JsonText | None = None) -> None:
        self._task.report(percent, message, checkpoint)
        if percent is not None:
            self.progress.append((percent, message))


class _Scribe(logging.Logger):
    """A logger that writes everything down, whatever its level, and passes on what *real* would have let through."""

    def __init__(self, real: logging.Logger, lines: list[str]) -> None:
        super().__init__(real.name, logging.DEBUG)
        self._real = real
        self._lines = lines

    def handle(self, record: logging.LogRecord) -> None:
        # TaskLog names the task at the head of each line; there is only one here.
        text = record.getMessage()
        head = f"[{getattr(record, 'task_type', '')} {getattr(record, 'task_id', '')}] "
        self._lines.append(f"{record.levelname} {text.removeprefix(head)}")
        if self._real.isEnabledFor(record.levelno):
            self._real.handle(record)
