"""MemoryClearing: days of what ended in memory, where none has room of its own."""

from collections.abc import Sequence
from datetime import UTC, date

from app.domain.clearing import Clearance, Cleared, Held, Kind, Place
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft


class MemoryClearing:
    """Implements Clearing; every step is the last."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def try_lock(self) -> bool:
        return True  # nobody else is in the store until this transaction ends

    def held(self, before: date) -> Sequence[Held]:
        days: dict[date, dict[Kind, int]] = {}
        for task in self._draft.tasks.values():
            if (day := _day_of(task)) is not None and day < before:
                numbers = days.setdefault(day, {})
                numbers[_kind_of(task)] = numbers.get(_kind_of(task), 0) + 1
        return [Held(day, Place.REST, numbers) for day, numbers in sorted(days.items())]

    def clear(self, clearance: Clearance, place: int, patience: float) -> Cleared:
        gone = [
            task.id
            for task in self._draft.tasks.values()
            if _day_of(task) == clearance.held.day and _kind_of(task) in clearance.going
        ]
        for task_id in gone:
            self._draft.tasks.put(task_id, None)
        return Cleared(removed=len(gone))


def _day_of(task: WorkerTask) -> date | None:
    if task.finished_at is None or not task.status.is_final or task.is_dead_letter:
        return None
    return task.finished_at.astimezone(UTC).date()


def _kind_of(task: WorkerTask) -> Kind:
    return Kind(str(task.status), task.type, task.queue)
