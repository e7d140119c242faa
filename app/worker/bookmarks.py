"""Bookmarks: where the last claim ended in each queue, for times when claiming from the front is slow."""

from collections.abc import Sequence

from app.domain.tasks.repository import ClaimRequest, Position
from app.domain.tasks.task import WorkerTask

_QUICK = 0.005
"""Seconds that a claim may take, whatever it finds."""
_FOR_EACH = 0.00002
"""Seconds more that each claimed task explains."""
_GAIN = 1.5
"""A claim onwards must be quicker than the front by this factor, or it is not the front that is slow."""
_SHARE = 20
"""From the front again after so many times what that took: a twentieth of the time is spent on it."""
_LONGEST = 2.0
"""Seconds that what lies before the bookmarks waits at most to be looked at."""


class Bookmarks:
    """Says from where the next claim starts.

    A claim from the front steps over all that lies before the first task it can have: index entries of tasks that are
    gone, which nobody may clear away while a transaction elsewhere holds its snapshot, and tasks of types that this
    worker does not know. While that is quick, claims start at the front and nothing is kept here. When it is slow, they
    start where the last one ended, and at the front now and then. That long, ``_LONGEST`` seconds at most, waits what
    an onward claim cannot see: a task more urgent than the last one claimed, one put back, one in another queue.
    """

    def __init__(self) -> None:
        self._places: dict[str, Position] = {}
        self._took = 0.0
        self._front_at: float | None = None

    @property
    def front_at(self) -> float | None:
        """When to look at the front again; None while every claim does."""
        return self._front_at

    def after(self, now: float) -> tuple[Position, ...] | None:
        """Where to start: from these positions, at the front (empty), or nowhere before ``front_at`` (None)."""
        if self._front_at is None or now >= self._front_at:
            return ()
        return tuple(self._places.values()) or None

    def claimed(self, asked: ClaimRequest, tasks: Sequence[WorkerTask], took: float, now: float) -> None:
        """Note what a claim brought, in the order of the claim, and how many seconds it took."""
        if asked.after:
            if not asked.promote and _GAIN * took > self._took:
                return self._forget()
        elif took <= _QUICK + len(tasks) * _FOR_EACH:
            return self._forget()
        elif not self._is_slow(asked, took, now):
            return None
        for task in {task.queue: task for task in tasks}.values():
            self._places[task.queue] = Position(task.queue, task.priority, task.scheduled_at, task.id)
        return None

    def _is_slow(self, asked: ClaimRequest, took: float, now: float) -> bool:
        """Whether a claim that took long means that the front is slow; one alone may have met a busy moment."""
        if self._front_at is None and asked.promote:
            return False  # it may have been the promoting: the next one will tell
        twice = self._took > 0
        self._took = min(took, self._took) if twice else took
        if twice:
            self._front_at = now + min(_SHARE * took, _LONGEST)
        return twice

    def _forget(self) -> None:
        if self._took:
            self._places.clear()
            self._took = 0.0
            self._front_at = None
