"""Here: a job run at once, where it is called, with nothing stored."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app.domain.identifiers import TaskId
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Schemas
from app.domain.jobs.verdict import verdict
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed
from app.domain.tasks.task import WorkerTask
from app.worker.calls import Calls, Offload

WORKER_ID = "here"
"""Stands where the id of a worker would, on tasks that no worker has run."""


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


class Here:
    """Runs one attempt in the caller's own process and event loop, through the layers that a worker would use.

    No timeout, no retry, no lease: the attempt is the caller's own, and is theirs to cancel.
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

    async def run(self, job: Job[Any, Any], payload: Any) -> Outcome[Any]:
        """Raises Unfit for a payload that is no instance of the job's model; what the handler raises is returned."""
        json = payload if job.payload is None else self._schemas.of(job.payload).to_json(payload, field="payload")
        json = JsonText.of(json, field="payload").decoded()
        task = self._task(job, json)
        context = TaskContext(task, WORKER_ID, report=task.report)
        call = self._calls(in_thread).of(job)
        began = time.monotonic()
        error: BaseException | None = None
        try:
            if call.is_asynchronous:
                returned = await call.function(json, context)
            else:
                returned = await in_thread(partial(call.function, json, context))
            stored = JsonText.of(returned, field="result", limit=self._max_result)
        except Exception as raised:
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
