"""MemoryUniques: who has which unique key, in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from app.domain.tasks.status import NOT_BEGUN
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import Cleared, Holders, Holding, Replacement, Taking
from app.infra.memory.store import Draft
from app.infra.memory.tasks import handed_out, stored_task


class MemoryUniques:
    """Implements Uniques. Nobody is waited for: whoever is in here has the whole store until their transaction ends.

    The exception is work joined to a Session, which is beside the store until that commits: of two that take one key
    meanwhile the first to commit has it, and the task of the other is dropped.
    """

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def take(self, takings: Sequence[Taking]) -> list[Holding]:
        held = [self._draft.uniques.get(taking.key) for taking in takings]
        self.take_over([taking for taking, holding in zip(takings, held, strict=True) if holding is None])
        return [holding for holding in held if holding is not None]

    def take_over(self, takings: Sequence[Taking]) -> None:
        now = self._now()
        for key, task_id, ttl, while_status in takings:
            expires_at = None if ttl is None else now + timedelta(seconds=ttl)
            self._draft.uniques.put(key, Holding(key, task_id, now, expires_at, while_status))

    def look(self, holdings: Sequence[Holding]) -> Holders:
        tasks = (self._draft.tasks.get(holding.task_id) for holding in holdings)
        return Holders(self._now(), {task.id: handed_out(task) for task in tasks if task is not None})

    def replace(self, replacements: Sequence[Replacement]) -> list[WorkerTask]:
        replaced = []
        for replacement in replacements:
            stored = self._draft.tasks.get(replacement.addition.id)
            if stored is None or stored.status not in NOT_BEGUN or stored.type != replacement.addition.new.type:
                continue
            task = _replaced(stored, replacement, self._now())
            self._draft.tasks.put(task.id, task)
            replaced.append(handed_out(task))
        return replaced

    def clear(self, after: str, limit: int) -> Cleared:
        behind = sorted(holding for holding in self._draft.uniques.values() if holding.key > after)
        seen = list(islice(behind, limit))
        holders = self.look(seen)
        stale = [one.key for one in seen if one.is_stale(holders.tasks.get(one.task_id), holders.at)]
        for key in stale:
            self._draft.uniques.put(key, None)
        return Cleared(len(seen), len(stale), seen[-1].key if len(seen) == limit else "")


def _replaced(stored: WorkerTask, replacement: Replacement, now: datetime) -> WorkerTask:
    new = stored_task(replacement.addition, now)
    task = stored.snapshot()
    for name in (
        "payload",
        "queue",
        "priority",
        "max_attempts",
        "timeout",
        "correlation_id",
        "tags",
        "version",
        "expires_at",
    ):
        setattr(task, name, getattr(new, name))
    asked = replacement.addition.new
    keeps_place = asked.scheduled_at is None and asked.delay is None and not replacement.postpones
    task.checkpoint = task.progress = task.progress_message = None  # of the payload that was
    task.scheduled_at = min(stored.scheduled_at, now) if keeps_place else new.scheduled_at
    return task
