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
    """Of ticks that are due, or waited: which are *fired*, which *wait*, and which are left out, with the reason."""

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


def sort_out_waiting(overlap: Overlap, ticks: Sequence[datetime], *, running: int, due: int) -> Sorted:
    """What to do with *ticks* that wait (the earliest first), while so many runs have not ended, and so many are due.

    They wait by the rule ``queue``, and the rule may be another one by now.
    """
    if overlap == "allow" or not ticks:
        return Sorted(list(ticks), [], [])
    if overlap == "queue":
        free = 0 if running else 1
        return Sorted(list(ticks[:free]), list(ticks[free:]), [])
    # The last of them is what there is still to do, unless a later one cancels it anyhow.
    kept = 0 if overlap == "cancel_previous" and due else 1
    rest, last = list(ticks[: len(ticks) - kept]), list(ticks[len(ticks) - kept :])
    skipped = [(tick, "overtaken by a later tick, as ticks do not queue any more") for tick in rest]
    return Sorted([], last, skipped) if overlap == "skip" and running else Sorted(last, [], skipped)
