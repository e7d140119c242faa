"""What one container's queue holds in memory, as of the last commit and as a transaction sees it."""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from typing import Generic, TypeVar

from app.domain.dead_letters.actions import ActionId, LetterAction
from app.domain.identifiers import TaskId
from app.domain.schedules.run import ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.tasks.status import Transition
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import Holding
from app.domain.workers import LiveWorker

K = TypeVar("K")
V = TypeVar("V")


def claim_order(task: WorkerTask) -> tuple[int, datetime, TaskId]:
    """The most urgent first, then the oldest."""
    return -task.priority, task.scheduled_at, task.id


def is_claimable(task: WorkerTask) -> bool:
    return task.status in Transition.CLAIM.sources


class MemoryStore:
    """What is committed. Whoever reads or merges holds ``lock``.

    Nothing in here is changed in place, only replaced: a draft tells by identity whether somebody else was there.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tasks: dict[TaskId, WorkerTask] = {}
        self.workers: dict[str, LiveWorker] = {}
        self.uniques: dict[str, Holding] = {}
        self.schedules: dict[tuple[str, str], Schedule] = {}
        self.ticks: dict[tuple[str, str, datetime], ScheduleRun] = {}
        self.letter_actions: dict[ActionId, LetterAction] = {}
        self.claimable: list[WorkerTask] = []
        """The tasks that may be claimed once they are due, kept in the order of a claim."""
        self.listeners: list[Callable[[str], None]] = []
        self.waiting: list[Callable[[frozenset[TaskId]], None]] = []
        """Who wants to hear which tasks have ended."""
        self.cancelling: list[Callable[[Sequence[TaskId]], None]] = []
        """Who wants to hear which running tasks are cancelled."""
        self.rescheduling: list[Callable[[], None]] = []
        """Who wants to hear that schedules have changed."""

    def merge(self, draft: "Draft") -> set[TaskId]:
        """Make *draft* the truth; returns the tasks it leaves alone because somebody else changed them meanwhile."""
        late = set()
        losers = self._merge_uniques(draft)
        for task_id, before, after in draft.tasks.changes():
            if self.tasks.get(task_id) is before and task_id not in losers:
                self._replace(task_id, before, after)
            else:
                late.add(task_id)
        for worker_id, _, worker in draft.workers.changes():
            if worker is None:
                self.workers.pop(worker_id, None)
            else:
                self.workers[worker_id] = worker
        _merge(self.schedules, draft.schedules)
        _merge(self.ticks, draft.ticks)
        self.letter_actions.update(
            (action_id, action) for action_id, _, action in draft.letter_actions.changes() if action is not None
        )
        return late

    def _merge_uniques(self, draft: "Draft") -> set[TaskId]:
        """Returns the new tasks whose key somebody else has taken meanwhile."""
        losers = set()
        for key, before, after in draft.uniques.changes():
            if self.uniques.get(key) is not before:
                losers |= set() if after is None else {after.task_id}
            elif after is None:
                self.uniques.pop(key, None)
            else:
                self.uniques[key] = after
        return losers

    def _replace(self, task_id: TaskId, before: WorkerTask | None, after: WorkerTask | None) -> None:
        if before is not None and is_claimable(before):
            del self.claimable[bisect_left(self.claimable, claim_order(before), key=claim_order)]
        if after is None:
            self.tasks.pop(task_id, None)
            return
        self.tasks[task_id] = after
        if is_claimable(after):
            insort(self.claimable, after, key=claim_order)


def _merge(committed: dict[K, V], overlay: "Overlay[K, V]") -> None:
    for key, before, after in overlay.changes():
        if committed.get(key) is not before:
            continue  # somebody else's change came first
        if after is None:
            committed.pop(key, None)
        else:
            committed[key] = after


class Overlay(Generic[K, V]):
    """A mapping with changes on top that nobody else sees; None stands for "not there"."""

    def __init__(self, committed: Mapping[K, V], earlier: Iterable["Overlay[K, V]"]) -> None:
        self._committed = committed
        self._changed: dict[K, V | None] = {}
        self._before: dict[K, V | None] = {}
        for overlay in earlier:
            self._changed.update({key: overlay._changed[key] for key in overlay._before})

    def get(self, key: K) -> V | None:
        return self._changed[key] if key in self._changed else self._committed.get(key)

    def put(self, key: K, value: V | None) -> None:
        self._before.setdefault(key, self.get(key))
        self._changed[key] = value

    def values(self) -> Iterator[V]:
        yield from self.changed()
        yield from (value for key, value in self._committed.items() if key not in self._changed)

    def items(self) -> Iterator[tuple[K, V]]:
        for key in [*self._changed, *(key for key in self._committed if key not in self._changed)]:
            if (value := self.get(key)) is not None:
                yield key, value

    def changed(self) -> Iterator[V]:
        """The values that are not as committed."""
        return (value for value in self._changed.values() if value is not None)

    def hides(self, key: K) -> bool:
        """Whether what is committed under *key* is no longer how it looks from here."""
        return key in self._changed

    def changes(self) -> Iterator[tuple[K, V | None, V | None]]:
        """Key, value before and value now, for everything that was put here itself."""
        return ((key, before, self._changed[key]) for key, before in self._before.items())


class Draft:
    """The store as one transaction sees it; *earlier* are the drafts of the same session that it builds upon."""

    def __init__(self, store: MemoryStore, earlier: Iterable["Draft"] = ()) -> None:
        earlier = list(earlier)
        self._store = store
        self.tasks: Overlay[TaskId, WorkerTask] = Overlay(store.tasks, [draft.tasks for draft in earlier])
        self.workers: Overlay[str, LiveWorker] = Overlay(store.workers, [draft.workers for draft in earlier])
        self.uniques: Overlay[str, Holding] = Overlay(store.uniques, [draft.uniques for draft in earlier])
        self.schedules: Overlay[tuple[str, str], Schedule] = Overlay(
            store.schedules, [draft.schedules for draft in earlier]
        )
        self.ticks: Overlay[tuple[str, str, datetime], ScheduleRun] = Overlay(
            store.ticks, [draft.ticks for draft in earlier]
        )
        self.letter_actions: Overlay[ActionId, LetterAction] = Overlay(
            store.letter_actions, [draft.letter_actions for draft in earlier]
        )

    def claimable(self) -> Iterator[WorkerTask]:
        """The tasks that may be claimed once they are due, in the order of a claim."""
        mine = sorted((task for task in self.tasks.changed() if is_claimable(task)), key=claim_order)
        theirs = (task for task in self._store.claimable if not self.tasks.hides(task.id))
        return merge(mine, theirs, key=claim_order) if mine else theirs
