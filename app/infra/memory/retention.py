"""MemoryRetention: ended tasks in memory that are kept no longer."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from app.domain.retention import Removed, Surplus
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft


class MemoryRetention:
    """Implements Retention; every step is the last."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def ended_by_day(self, types: Sequence[str]) -> dict[str, list[tuple[date, int]]]:
        wanted = frozenset(types)
        counts = Counter((task.type, end.date()) for end, task in self._ended() if task.type in wanted)
        by_day: dict[str, list[tuple[date, int]]] = {}
        for (type, day), number in sorted(counts.items()):
            by_day.setdefault(type, []).append((day, number))
        return by_day

    def remove(self, surplus: Surplus, place: int) -> Removed:
        goes = sorted(
            (end, task.id)
            for end, task in self._ended()
            if task.type == surplus.type and end.date() == surplus.day and end < surplus.before
        )[: surplus.most]
        for _, task_id in goes:
            self._draft.tasks.put(task_id, None)
        return Removed(len(goes), 0, is_over=True, is_end=False)

    def _ended(self) -> Iterator[tuple[datetime, WorkerTask]]:
        for task in self._draft.tasks.values():
            if task.status.is_final and task.finished_at is not None and not task.is_dead_letter:
                yield task.finished_at.astimezone(UTC), task
