"""Here: a job run at once, where it is called, with nothing stored."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Schemas
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed
from app.domain.tasks.task import WorkerTask
from app.worker.calls import Calls
from app.worker.failing import cannot_be_stored, is_being_cancelled
from app.worker.layers import Offload
from app.worker.sessions import roll_back

WORKER_ID = "here"
"""Stands where the id of a worker would, on tasks that no worker has run."""


async def in_thread(work: Callable[[], Any], context: TaskContext | None = None) -> Any:
    """What *work*, run in a thread, returns or raises, whatever that is."""

    def run() -> tuple[Any, BaseException | None]:
        try:
            return work(), None
        except BaseException as raised:  # SystemExit would end the loop, and no future may hold a StopIteration
            return None, raised

    answer, error = await asyncio.to_thread(run)
    if error is not None:
        raise RuntimeError("the handler raised StopIteration") if isinstance(error, StopIteration) else error
    return answer


class Here:
    """Runs one attempt in the caller's own process and event loop, through the layers that a worker would use.

    No timeout, no retry, no lease: the attempt is the caller's own, and is theirs to cancel. A timeout guards a
    worker's slot, and here there is none; it would end the very attempt that somebody follows with a debugger.
    """

    def __init__(
        self,
        calls: Callable[[Offload], Calls],
        schemas: Schemas,
        new_ids: Callable[[int], list[TaskId]],
        *,
        max_attempts: int,
        max_result: int,
    ) -> None:
        self._calls = calls
        self._schemas = schemas
        self._new_ids = new_ids
        self._max_attempts = max_attempts
        self._max_result = max_result

    def check(self, job: Job[Any, Any], payload: Any) -> Any:
        """The JSON of *payload*. Raises Unfit when it is no instance of the job's model, InvalidInput when no JSON."""
        json = payload if job.payload is None else self._schemas.of(job.payload).to_json(payload, field="payload")
        return JsonText.of(json, field="payload").decoded()

    async def run(self, job: Job[Any, Any], payload: Any) -> Outcome[Any]:
        """Raises what ``check`` does; what the handler raises is returned."""
        task = self._task(job, self.check(job, payload))
        call = self._calls(in_thread).of(job)
        context = TaskContext(task, WORKER_ID, report=task.report, open_session=call.sessions.open)
        began = time.monotonic()
        error: BaseException | None = None
        try:
            if call.is_asynchronous:
                returned = await call.function(task.payload, context)
            else:
                returned = await in_thread(partial(call.function, task.payload, context))
            stored = self._stored(returned)
            if context.opened is not None:
                # Nothing but the session is to be committed: the task is stored nowhere.
                commit = context.opened.commit
                await (commit() if context.opened.is_asynchronous else in_thread(commit))
        except KeyboardInterrupt:
            raise  # somebody at the keyboard, who means all of this
        except BaseException as raised:
            if context.opened is not None:
                await roll_back(context.opened, in_thread)
            if isinstance(raised, asyncio.CancelledError) and is_being_cancelled():
                raise
            error = raised
        duration = time.monotonic() - began
        now = datetime.now(UTC)
        if error is not None:
            task.settle(verdict(error, task, job), now=now)
            return Outcome(result=None, error=error, task=task, duration=duration)
        task.settle(Completed(stored), now=now)
        schema = None if job.result is None else self._schemas.of(job.result)
        result = task.result if schema is None else schema.from_json(task.result, field="result")
        return Outcome(result=result, error=None, task=task, duration=duration)

    def _stored(self, returned: Any) -> JsonText:
        try:
            return JsonText.of(returned, field="result", limit=self._max_result)
        except InvalidInput as error:
            raise cannot_be_stored(returned, error) from error

    def _task(self, job: Job[Any, Any], payload: Any) -> WorkerTask:
        now = datetime.now(UTC)
        task = WorkerTask(
            id=self._new_ids(1)[0],
            type=job.type,
            payload=payload,
            queue=job.queue,
            priority=job.priority,
            max_attempts=job.max_attempts or self._max_attempts,
            timeout=job.timeout,
            scheduled_at=now,
            created_at=now,
            version=job.version,
        )
        task.claim(WORKER_ID, now=now)
        return task
