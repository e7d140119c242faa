"""MemoryHealth: what can be said of a queue in memory, where nothing holds snapshots and no row dies."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from app.domain.health import DeadRows, Overdue, Snapshots, UpkeepStep, WaitingQueue, WaitingType
from app.domain.tasks.status import NOT_BEGUN
from app.domain.workers import LiveWorker
from app.infra.memory.store import Draft


class MemoryHealth:
    """Implements QueueHealth."""

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def moment(self) -> datetime:
        return self._now()

    def overdue(self) -> Overdue:
        workers = any(self._is_silent(worker) for worker in self._draft.workers.values())
        waiting = (task for task in self._draft.tasks.values() if task.status in NOT_BEGUN)
        return Overdue(workers, any(task.has_expired(now=self._now()) for task in waiting))

    def snapshots(self) -> Snapshots:
        return Snapshots()

    def dead_rows(self) -> DeadRows | None:
        return None

    def upkeep(self) -> Sequence[UpkeepStep] | None:
        return None

    def waiting_queues(self) -> Sequence[WaitingQueue]:
        first: dict[str, datetime] = {}
        for task in self._draft.claimable():
            if task.scheduled_at <= self._now():
                first[task.queue] = min(task.scheduled_at, first.get(task.queue, task.scheduled_at))
        waiting = [WaitingQueue(queue, self._seconds_since(moment)) for queue, moment in first.items()]
        return sorted(waiting, key=lambda one: (-one.oldest_seconds, one.queue))

    def waiting_types(self) -> Sequence[WaitingType]:
        due_since: defaultdict[tuple[str, int], list[datetime]] = defaultdict(list)
        for task in self._draft.claimable():
            if task.scheduled_at <= self._now():
                due_since[task.type, task.version].append(task.scheduled_at)
        return [
            WaitingType(type, len(moments), self._seconds_since(min(moments)), version=version)
            for (type, version), moments in sorted(due_since.items())
        ]

    def _is_silent(self, worker: LiveWorker) -> bool:
        return self._seconds_since(worker.last_seen_at) > worker.node.lease

    def _seconds_since(self, moment: datetime) -> float:
        return (self._now() - moment).total_seconds()
