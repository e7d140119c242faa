"""Once: a task at a moment to come, which may be asked for twice."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.jobs.job import Job
from app.domain.jobs.unique import UNFINISHED
from app.domain.names import checked_name
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import Taking
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.tasks.enqueue import EnqueueTask
from app.usecases.transaction import Transaction

OPTIONS = frozenset(one.name for one in fields(NewTask) if one.init) - {
    "type",
    "payload",
    "scheduled_at",
    "delay",
    "origin",
}
"""What may be said of the task beside what it is to do and when."""
# A name holds no control characters, so that no namespace of a job is mistaken for this one.
_NAMESPACE = "\x01once"


@dataclass(frozen=True, slots=True)
class ScheduleOnce:
    """Enqueue one task for a moment to come. It is a plain task, and no schedule: cancel_task takes it back."""

    scheduling: Scheduling

    def __call__(
        self,
        tx: Transaction,
        job: Job[Any, Any] | str,
        payload: Any = None,
        *,
        at: datetime | None = None,
        delay: float | timedelta | None = None,
        key: str | None = None,
        **options: Any,
    ) -> WorkerTask:
        """Return the task, due at the moment *at*, or after *delay* (seconds or a timedelta); one of the two.

        *payload* is an instance of the job's model, or JSON, and checked as at any enqueue; *options* are those of
        NewTask. With a *key* it may be asked for again: as long as the first task of this key and type has not ended,
        it is returned (an ExistingTask), unchanged. Raises InvalidInput, TaskNotUnique.
        """
        if (at is None) == (delay is None):
            raise InvalidInput("at", at, "must be given, or else delay, and not both")
        if unknown := sorted(options.keys() - OPTIONS):
            rule = f"is no option of a task for later: there are {', '.join(sorted(OPTIONS))}"
            raise InvalidInput(unknown[0], options[unknown[0]], rule)
        type = job.type if isinstance(job, Job) else checked_name("job", job)
        known = self.scheduling.enqueue.jobs.get(type)
        if known is not None:
            payload = self.scheduling.payload(known, payload)
            options = {"queue": known.queue, "priority": known.priority} | options
        enqueue = EnqueueTask(self.scheduling.enqueue)
        new = enqueue.prepared(
            type=type, payload={} if payload is None else payload, scheduled_at=at, delay=delay, **options
        )
        if key is None:
            return enqueue.together(tx, [new])[0]
        taken = f"{_NAMESPACE}\t{type}\t{checked_name('key', key)}"
        [provisional] = self.scheduling.enqueue.new_ids(1)
        for holding in tx.uniques.take([_taking(taken, provisional)]):
            holders = tx.uniques.look([holding])
            holder = holders.tasks.get(holding.task_id)
            if holder is not None and holding.holds(holder, holders.at):
                return ExistingTask.of(holder)
        [task] = enqueue.together(tx, [new])
        # The key is in our hands since the first look, so that it can now have its task.
        tx.uniques.take_over([_taking(taken, task.id)])
        return task


def _taking(key: str, task_id: TaskId) -> Taking:
    return Taking(key, task_id, None, UNFINISHED)
