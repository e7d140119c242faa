"""MemoryTasks: tasks kept in memory, changed only by the entity's own verbs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast

from app.domain.identifiers import TaskId
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed
from app.domain.tasks.repository import Addition, Claimed, ClaimRequest, Position, Progress, Settled, Settlement
from app.domain.tasks.status import NOT_BEGUN, TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft, is_claimable

_CHANGED = (
    "status", "attempts", "max_attempts", "scheduled_at", "finished_at", "worker_id", "error", "expires_at", "requeues",
    "cancel_requested_at", "reason", "is_dead_letter", "letter_queue",
)  # fmt: skip


class MemoryTasks:
    """Implements TaskRepository.

    A task is stored with payload, result and checkpoint as JsonText and decoded for each who asks, so that what comes
    out is what PostgreSQL would return, and changing it changes nothing in here.
    """

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def add(self, additions: Sequence[Addition]) -> list[WorkerTask]:
        return [handed_out(self._put(stored_task(addition, self._now()))) for addition in additions]

    def claim(self, request: ClaimRequest) -> Claimed:
        if self._draft.workers.get(request.worker_id) is None:
            return Claimed([], None)
        now = self._now()
        due = (task for task in self._wanted(request) if task.scheduled_at <= now and _is_behind(task, request.after))
        return Claimed([self._claimed(task, request.worker_id) for task in islice(due, request.limit)], 0.0)

    def claim_by_id(
        self, task_id: TaskId, *, worker_id: str, types: Sequence[str], versions: Sequence[int] = ()
    ) -> WorkerTask | None:
        task = self._draft.tasks.get(task_id)
        known = dict(zip(types, versions or [1] * len(types), strict=True))
        if task is None or not is_claimable(task) or task.version > known.get(task.type, 0):
            return None
        if task.has_expired(now=self._now()):
            return None
        return None if self._draft.workers.get(worker_id) is None else self._claimed(task, worker_id)

    def next_due_in(self, request: ClaimRequest) -> float | None:
        earliest = min((task.scheduled_at for task in self._wanted(request)), default=None)
        return None if earliest is None else max(0.0, (earliest - self._now()).total_seconds())

    def time_front(self, request: ClaimRequest) -> float:
        return 0.0

    def settle(
        self, settlements: Sequence[Settlement], *, taking_back: bool = False, or_cancelled: bool = True
    ) -> Settled:
        now = self._now()
        accepted = set()
        cancelled = set()
        for one in settlements:
            task = self._held(one.task.id, one.task.lease_seq)
            if task is None or (task.cancel_requested_at is not None and not or_cancelled):
                continue
            if task.cancel_requested_at is not None:
                cancelled.add(task.id)
            end = task.take_back if taking_back else task.settle
            end(one.outcome, now=now)
            if task.status is TaskStatus.COMPLETED and isinstance(one.outcome, Completed):
                task.result = one.outcome.result
            elif one.checkpoint is not None:
                task.checkpoint = one.checkpoint
            accepted.add(self._put(task).id)
        return Settled(frozenset(accepted), now, frozenset(cancelled))

    def settled_before(self, settlements: Sequence[Settlement]) -> Settled:
        stored = [
            task
            for one in settlements
            if (task := self._draft.tasks.get(one.task.id)) is not None
            and task.lease_seq == one.task.lease_seq
            and task.status is not TaskStatus.RUNNING
        ]
        cancelled = frozenset(task.id for task in stored if task.status is TaskStatus.CANCELLED)
        return Settled(frozenset(task.id for task in stored), self._now(), cancelled)

    def progress(self, reports: Sequence[Progress]) -> frozenset[TaskId]:
        accepted = set()
        for report in reports:
            task = self._held(report.task_id, report.lease_seq)
            if task is not None:
                task.report(report.percent, report.message, report.checkpoint)
                accepted.add(self._put(task).id)
        return frozenset(accepted)

    def held_by(self, worker_id: str) -> list[WorkerTask]:
        return [handed_out(task) for task in self._running() if task.worker_id == worker_id]

    def lock_orphans(self, limit: int) -> list[WorkerTask]:
        # Nobody else is in the store until this transaction ends: the lock is held already.
        orphans = (task for task in self._running() if self._draft.workers.get(task.worker_id or "") is None)
        return [handed_out(task) for task in islice(orphans, limit)]

    def lock_expired(self, limit: int) -> list[WorkerTask]:
        waiting = (task for task in self._draft.tasks.values() if task.status in NOT_BEGUN)
        expired = [task for task in waiting if task.has_expired(now=self._now())]
        expired.sort(key=lambda task: cast(datetime, task.expires_at))
        return [handed_out(task) for task in expired[:limit]]

    def lock(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        found = (self._draft.tasks.get(task_id) for task_id in ids)
        return [handed_out(task) for task in found if task is not None]

    def lock_free(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        return [task for task in self.lock(ids) if not task.status.is_final]

    def save(self, tasks: Sequence[WorkerTask]) -> None:
        for changed in tasks:
            stored = self._draft.tasks.get(changed.id)
            if stored is not None:
                task = stored.snapshot()
                for name in _CHANGED:
                    setattr(task, name, getattr(changed, name))
                self._put(task)

    def remove_finished(self, older_than_seconds: float) -> int:
        limit = self._now() - timedelta(seconds=older_than_seconds)
        old = [
            task.id
            for task in self._draft.tasks.values()
            if task.status.is_final and task.finished_at is not None and task.finished_at < limit
        ]
        for task_id in old:
            self._draft.tasks.put(task_id, None)
        return len(old)

    def _wanted(self, request: ClaimRequest) -> Iterator[WorkerTask]:
        versions = request.versions or [1] * len(request.types)
        known, queues = dict(zip(request.types, versions, strict=True)), frozenset(request.queues)
        now = self._now()
        return (
            task
            for task in self._draft.claimable()
            if task.version <= known.get(task.type, 0)
            and (not queues or task.queue in queues)
            and not task.has_expired(now=now)
        )

    def _claimed(self, stored: WorkerTask, worker_id: str) -> WorkerTask:
        task = stored.snapshot()
        task.claim(worker_id, now=self._now())
        return handed_out(self._put(task))

    def _held(self, task_id: TaskId, lease_seq: int) -> WorkerTask | None:
        """A copy to change of the task whose run under this lease has not ended."""
        task = self._draft.tasks.get(task_id)
        if task is None or task.lease_seq != lease_seq or task.status is not TaskStatus.RUNNING:
            return None
        return task.snapshot()

    def _running(self) -> Iterator[WorkerTask]:
        return (task for task in self._draft.tasks.values() if task.status is TaskStatus.RUNNING)

    def _put(self, task: WorkerTask) -> WorkerTask:
        self._draft.tasks.put(task.id, task)
        return task


def _is_behind(task: WorkerTask, after: Sequence[Position]) -> bool:
    """Whether *task* stands behind the position given for its queue, if positions are given."""
    return not after or any(
        place.queue == task.queue
        and (-place.priority, place.scheduled_at, place.id) < (-task.priority, task.scheduled_at, task.id)
        for place in after
    )


def handed_out(stored: WorkerTask) -> WorkerTask:
    """*stored* as a caller gets it: a copy of their own, with its JSON decoded."""
    task = stored.snapshot()
    task.payload = _decoded(stored.payload)
    task.result = _decoded(stored.result)
    task.checkpoint = _decoded(stored.checkpoint)
    task.origin = _decoded(stored.origin)
    return task


def _decoded(value: JsonText | None) -> object:
    return None if value is None else value.decoded()


def stored_task(addition: Addition, now: datetime) -> WorkerTask:
    new = addition.new
    scheduled_at = _scheduled(addition, now)
    expires_at = new.expires_at if addition.ttl is None else scheduled_at + timedelta(seconds=addition.ttl)
    return WorkerTask(
        id=addition.id,
        type=new.type,
        payload=new.encoded,
        queue=new.queue,
        priority=new.priority,
        max_attempts=addition.max_attempts,
        timeout=_seconds(new.timeout),
        scheduled_at=scheduled_at,
        created_at=now,
        correlation_id=new.correlation_id,
        tags=tuple(new.tags),
        version=addition.version,
        expires_at=expires_at,
        origin=None if new.origin is None else JsonText.of(dict(new.origin), field="origin"),
    )


def _scheduled(addition: Addition, now: datetime) -> datetime:
    if addition.new.scheduled_at is not None:
        return addition.new.scheduled_at.astimezone(UTC)
    return now + timedelta(seconds=_seconds(addition.new.delay) or 0.0)


def _seconds(checked: float | timedelta | None) -> float | None:
    """NewTask has turned it into seconds already; only its parameter takes more."""
    return cast("float | None", checked)
