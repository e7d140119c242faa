"""Notifications: hints from other processes that there is something to look at; polling remains the truth."""

from collections.abc import Callable, Sequence
from typing import Protocol

from app.domain.identifiers import TaskId


class Notifications(Protocol):
    """One listener of one worker; supervised, so that a lost connection is restored."""

    def start(
        self,
        on_wake: Callable[[str], None],
        on_cancel: Callable[[Sequence[TaskId]], None] = ...,
        on_schedules: Callable[[], None] = ...,
    ) -> None:
        """Begin to listen. All are called from another thread: *on_wake* with the queue's name, or with "" for "look at
        all" after a time of deafness; *on_cancel* with tasks that were cancelled while somebody runs them;
        *on_schedules* when schedules have changed, and after a time of deafness."""
        ...

    def stop(self) -> None:
        """End, within a second."""
        ...

    def probe(self) -> bool:
        """Whether notifications arrive at all, found out by sending one; takes up to some seconds."""
        ...

    @property
    def hears(self) -> bool | None:
        """Whether notifications were seen to arrive on the present connection; None while that is not known."""
        ...
