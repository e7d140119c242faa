"""Bookmarks: where the last claim ended in each queue, for times when a search from the front is slow."""

from collections.abc import Sequence

from app.domain.tasks.repository import Position
from app.domain.tasks.task import WorkerTask

_SLOW = 0.005
"""Seconds that a search from the front may take, beside what it finds."""
_INTERVAL = 1.0
"""Seconds at least between two measurements of a quick front that brings nothing."""
_SHARE = 40
"""From a slow front again after so many times what the search took."""
_SHORTEST, _LONGEST = 0.2, 5.0
"""Seconds between two claims from a slow front, at least and at most."""


class Bookmarks:
    """Says from where the next claim starts.

    A claim from the front steps over all that lies before the first task it can have: index entries of tasks that are
    gone, which nobody may clear away while a transaction elsewhere holds its snapshot, and tasks of types that this
    worker does not know. While that is quick, claims start at the front and nothing is kept here. When it is slow, they
    start where the last one ended, and at the front now and then. That long, ``_LONGEST`` seconds at most, waits what
    a claim onwards cannot see: a task more urgent than the last one claimed, one put back, one in another queue.
    """

    def __init__(self) -> None:
        self._places: dict[str, Position] = {}
        self._is_slow = self._was_slow = False
        self.front_at = 0.0
        """When the front is to be claimed from again, if it is slow; and timed, if it brings nothing."""

    def after(self, now: float) -> tuple[Position, ...] | None:
        """Where to start: from these positions, at the front (empty), or nowhere before ``front_at`` (None)."""
        if not self._is_slow or now >= self.front_at:
            return ()
        return tuple(self._places.values()) or None

    def timed(self, took: float, now: float) -> None:
        """Note how many seconds a search from the front takes.

        Once is no evidence: the machine may have been busy with something else.
        """
        self._is_slow, self._was_slow = took > _SLOW and self._was_slow, took > _SLOW
        if self._is_slow:
            self.front_at = now + min(max(_SHARE * took, _SHORTEST), _LONGEST)
        else:
            self.front_at = now + _INTERVAL
            self._places.clear()

    def claimed(self, tasks: Sequence[WorkerTask]) -> None:
        """Note where a claim ended, of which these are the *tasks* in its order."""
        if self._is_slow:
            for task in {task.queue: task for task in tasks}.values():
                self._places[task.queue] = Position(task.queue, task.priority, task.scheduled_at, task.id)
