"""Overlap: what becomes of a tick while the run before it has not ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

Overlap = Literal["allow", "skip", "queue", "cancel_previous"]
"""A run has ended when its task is final: completed, failed for good, cancelled. ``allow``: the next run is enqueued
all the same. ``skip``: it is left out. ``queue``: it waits until the run before it has ended, in the order of the
ticks. ``cancel_previous``: the runs before it are cancelled."""

OVERLAPS: tuple[Overlap, ...] = ("allow", "skip", "queue", "cancel_previous")
MOST_WAITING = 1_000
"""Ticks of one schedule that may wait for runs before them; what comes then is left out."""


class Sorted(NamedTuple):
    """Of the ticks that are due: which are *fired*, which *wait*, and which are left out, with the reason."""

    fired: list[datetime]
    waiting: list[datetime]
    skipped: list[tuple[datetime, str]]


def sort_out(overlap: Overlap, ticks: Sequence[datetime], *, running: int, waiting: int) -> Sorted:
    """What to do with *ticks* (the earliest first), while so many runs have not ended, and so many ticks wait."""
    due = list(ticks)
    if overlap == "allow" or not due:
        return Sorted(due, [], [])
    if overlap == "cancel_previous":
        return Sorted(due[-1:], [], [(tick, "overtaken by a later tick that was due with it") for tick in due[:-1]])
    free = 0 if running or waiting else 1
    fired, rest = due[:free], due[free:]
    if overlap == "skip":
        return Sorted(fired, [], [(tick, "the run before it had not ended") for tick in rest])
    room = max(0, MOST_WAITING - waiting)
    return Sorted(fired, rest[:room], [(tick, f"{MOST_WAITING} ticks before it were waiting") for tick in rest[room:]])
