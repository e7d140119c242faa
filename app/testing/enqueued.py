"""Enqueued: what was put on a queue under test, remembered and compared with what a test expects."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.errors import InvalidInput, shown
from app.domain.identifiers import TaskId
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Schemas
from app.domain.json import JsonText
from app.domain.names import matches
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft, MemoryStore
from app.infra.memory.tasks import handed_out

_SHOWN = 200
"""Characters of a payload that a message shows."""

ANY: Any = object()
"""Stands for whatever a payload is."""


class RememberingStore(MemoryStore):
    """A store that still knows what was enqueued once it has been removed."""

    def __init__(self) -> None:
        super().__init__()
        self._added: dict[TaskId, WorkerTask] = {}

    def merge(self, draft: Draft) -> set[TaskId]:
        late = super().merge(draft)
        for task_id, before, after in draft.tasks.changes():
            if before is None and after is not None and task_id not in late:
                self._added[task_id] = after
        return late

    def enqueued(self) -> list[WorkerTask]:
        """In the order of their enqueueing, as they are now, or, of those that are gone, as they were enqueued."""
        with self.lock:
            return [handed_out(self.tasks.get(task_id, task)) for task_id, task in self._added.items()]


class Expectation:
    """Tasks of a type, perhaps with wildcards, perhaps with a certain payload."""

    def __init__(self, wanted: Job[Any, Any] | str, payload: Any, containing: Mapping[str, Any] | None) -> None:
        self.type = wanted.type if isinstance(wanted, Job) else wanted
        self._model = wanted.payload if isinstance(wanted, Job) else None
        self._payload = payload
        self._containing = containing

    def found_in(self, tasks: Sequence[WorkerTask], schemas: Schemas) -> list[WorkerTask]:
        """Raises InvalidInput for an expected payload that could not have been enqueued."""
        wanted = [task for task in tasks if matches(self.type, task.type)]
        if self._payload is not ANY:
            payload = self._as_json(schemas)
            wanted = [task for task in wanted if task.payload == payload]
        if self._containing is not None:
            some = JsonText.of(dict(self._containing), field="containing").decoded()
            wanted = [task for task in wanted if _contains(task.payload, some)]
        return wanted

    def __str__(self) -> str:
        said = f"of type {self.type!r}"
        if self._payload is not ANY:
            said += f" with payload {shown(self._payload, _SHOWN)}"
        if self._containing is not None:
            said += f" with a payload containing {shown(self._containing, _SHOWN)}"
        return said

    def _as_json(self, schemas: Schemas) -> Any:
        try:
            return JsonText.of(self._payload, field="payload").decoded()
        except InvalidInput:
            if isinstance(self._payload, dict | list | tuple) and self._model is None:
                raise
        model = type(self._payload) if self._model is None else self._model
        return schemas.of(model).to_json(self._payload, field="payload")


def listed(tasks: Sequence[WorkerTask]) -> str:
    """A line for each of *tasks*, for messages."""
    lines = [f"  {task.type} {shown(task.payload, _SHOWN)}, {task.status}, due {task.scheduled_at}" for task in tasks]
    return "\n".join(lines) or "  nothing"


def _contains(payload: Any, some: dict[str, Any]) -> bool:
    return isinstance(payload, dict) and all(key in payload and payload[key] == some[key] for key in some)
