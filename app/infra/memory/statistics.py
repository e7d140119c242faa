"""MemoryStatistics: what people ask about the tasks in memory."""

import heapq
from collections import Counter
from collections.abc import Sequence

from app.domain.identifiers import TaskId
from app.domain.names import matches
from app.domain.tasks.statistics import TaskFilter, TaskStats
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft
from app.infra.memory.tasks import handed_out


class MemoryStatistics:
    """Implements TaskStatistics."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def counts(self) -> TaskStats:
        counted = Counter(str(task.status) for task in self._draft.tasks.values())
        return TaskStats(**counted)

    def find(self, task_id: TaskId) -> WorkerTask | None:
        task = self._draft.tasks.get(task_id)
        return None if task is None else handed_out(task)

    def newest(self, wanted: TaskFilter) -> Sequence[WorkerTask]:
        fitting = (task for task in self._draft.tasks.values() if _fits(task, wanted))
        # As PostgreSQL does: ids are UUIDs of version 7, so their order is the order of creation.
        newest = heapq.nlargest(wanted.limit, fitting, key=lambda task: task.id)
        return [handed_out(task) for task in newest]


def _fits(task: WorkerTask, wanted: TaskFilter) -> bool:
    return (
        (wanted.status is None or task.status is wanted.status)
        and (wanted.type is None or matches(wanted.type, task.type))
        and (wanted.queue is None or task.queue == wanted.queue)
    )
