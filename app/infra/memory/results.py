"""MemoryResults: what became of tasks in memory, and who is told of their ends."""

from collections.abc import Callable, Sequence

from app.domain.identifiers import TaskId
from app.domain.results import Ended, Look
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft, MemoryStore
from app.infra.memory.tasks import handed_out


class MemoryResults:
    """Implements TaskResults."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def look(self, ids: Sequence[TaskId]) -> Look:
        ended: list[WorkerTask] = []
        going_on: dict[TaskId, TaskStatus] = {}
        for task_id in ids:
            task = self._draft.tasks.get(task_id)
            if task is None:
                continue
            if task.status.is_final:
                ended.append(handed_out(task))
            else:
                going_on[task_id] = task.status
        return Look(ended, going_on)


class MemoryResultNotifications:
    """Implements ResultNotifications. *on_end* is called from whichever thread committed."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._on_end: Callable[[Ended], None] | None = None

    def start(self, on_end: Callable[[Ended], None]) -> None:
        with self._store.lock:
            self._on_end = on_end
            self._store.waiting.append(on_end)
        on_end(None)

    def ask(self) -> None:
        """Whoever listens has asked."""

    def stop(self) -> None:
        with self._store.lock:
            if self._on_end in self._store.waiting:
                self._store.waiting.remove(self._on_end)
