"""MemoryStatistics: what people ask about the tasks in memory."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from app.domain.identifiers import TaskId
from app.domain.names import matches
from app.domain.tasks.durations import bucket_of, quantile
from app.domain.tasks.statistics import Grouping, GroupStats, TaskFilter, TaskStats
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft
from app.infra.memory.tasks import handed_out


class MemoryStatistics:
    """Implements TaskStatistics."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def counts(self) -> TaskStats:
        return _counted(self._draft.tasks.values())

    def breakdown(self, by: Grouping) -> Sequence[GroupStats]:
        groups: defaultdict[str, list[WorkerTask]] = defaultdict(list)
        for task in self._draft.tasks.values():
            groups[task.type if by is Grouping.TYPE else task.queue].append(task)
        return [_group(name, tasks) for name, tasks in sorted(groups.items())]

    def find(self, task_id: TaskId) -> WorkerTask | None:
        task = self._draft.tasks.get(task_id)
        return None if task is None else handed_out(task)

    def newest(self, wanted: TaskFilter) -> Sequence[WorkerTask]:
        fitting = (task for task in self._draft.tasks.values() if _fits(task, wanted))
        # As PostgreSQL does: ids are UUIDs of version 7, so their order is the order of creation.
        newest = heapq.nlargest(wanted.limit, fitting, key=lambda task: task.id)
        return [handed_out(task) for task in newest]


def _counted(tasks: Iterable[WorkerTask]) -> TaskStats:
    return TaskStats(**Counter(str(task.status) for task in tasks))


def _group(name: str, tasks: Sequence[WorkerTask]) -> GroupStats:
    completed = (task.duration for task in tasks if task.status is TaskStatus.COMPLETED)
    # In buckets here as well: both adapters are off by the same.
    buckets = Counter(bucket_of(duration) for duration in completed if duration is not None)
    p50, p95 = quantile(buckets, 0.5), quantile(buckets, 0.95)
    return GroupStats(name=name, stats=_counted(tasks), p50=p50, p95=p95)


def _fits(task: WorkerTask, wanted: TaskFilter) -> bool:
    return (
        (wanted.status is None or task.status is wanted.status)
        and (wanted.type is None or matches(wanted.type, task.type))
        and (wanted.queue is None or task.queue == wanted.queue)
    )
