"""Health: what a queue's database tells about itself, as far as it helps or hinders the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

SNAPSHOT_SECONDS = 60.0
"""Age from which an open snapshot is old: autovacuum looks once a minute, so a younger one delayed it by one round."""
SNAPSHOT_TRANSACTIONS = 1_000
"""The same in transactions, for what tells no time: a busy queue, which writes in batches, has so many in a minute."""
DEAD_ROWS_FACTOR = 10
"""So many times the rows that call autovacuum are far too many, if it has not come for a while: a queue of a thousand
tasks a second leaves as many in the minute between two looks."""
VACUUM_SECONDS = 300.0
"""That while."""
UPKEEP_SECONDS = 1800.0
"""Every worker tries each minute; a round that has a lot to remove takes some."""
CLOCK_SECONDS = 5.0
"""More than two machines differ by that are kept on time, and enough to be seen in what is scheduled."""


class HolderKind(StrEnum):
    """What can keep a snapshot open."""

    SESSION = "session"
    REPLICA = "replica"
    SLOT = "slot"
    PREPARED = "prepared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The oldest view of the data that somebody still has open: no row that died since can be removed.

    ``name`` is the session's application, the slot's name or the prepared transaction's; ``transactions`` is the age
    in transactions begun since. ``seconds`` and ``query_seconds`` are ages too. What the holder does not have, or this
    role may not see, is None. ``query`` is the beginning of its text, without any value.
    """

    kind: HolderKind
    name: str
    transactions: int
    seconds: float | None = None
    pid: int | None = None
    user: str | None = None
    state: str | None = None
    query: str | None = None
    query_seconds: float | None = None

    @property
    def is_old(self) -> bool:
        if self.seconds is None:
            return self.transactions >= SNAPSHOT_TRANSACTIONS
        return self.seconds >= SNAPSHOT_SECONDS


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The oldest snapshot, None if nobody else has one open; ``unseen`` names what this role may not look at."""

    oldest: Snapshot | None = None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRows:
    """Versions of rows of the table of tasks that nobody needs and no vacuum has removed yet; estimated.

    ``threshold`` is the number from which autovacuum comes; ``vacuum_seconds`` have passed since any vacuum's end.
    """

    dead: int
    live: int
    threshold: int
    vacuum_seconds: float | None = None

    @property
    def share(self) -> float:
        return self.dead / max(1, self.dead + self.live)

    @property
    def call_for_vacuum(self) -> bool:
        return self.dead > self.threshold

    @property
    def are_neglected(self) -> bool:
        late = self.vacuum_seconds is None or self.vacuum_seconds > VACUUM_SECONDS
        return late and self.dead > DEAD_ROWS_FACTOR * self.threshold


@dataclass(frozen=True, slots=True)
class ClockDifference:
    """How many seconds the database's clock is ahead of this machine's, give or take ``error``."""

    seconds: float
    error: float

    @classmethod
    def between(cls, before: datetime, theirs: datetime, after: datetime) -> "ClockDifference":
        """The database said *theirs* at some moment between *before* and *after*."""
        half = (after - before) / 2
        return cls((theirs - (before + half)).total_seconds(), abs(half.total_seconds()))

    @property
    def is_large(self) -> bool:
        return abs(self.seconds) - self.error > CLOCK_SECONDS


@dataclass(frozen=True, slots=True)
class UpkeepStep:
    """A step of the upkeep: the seconds since it last went through, and what was in the way of the last try."""

    name: str
    seconds: float | None
    error: str | None

    @property
    def is_late(self) -> bool:
        return self.seconds is None or self.seconds > UPKEEP_SECONDS


@dataclass(frozen=True, slots=True)
class WaitingQueue:
    """A queue with due tasks, and for how many seconds the oldest of them has been due."""

    queue: str
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class WaitingType:
    """A type with due tasks, in one version of its payload: how many wait and for how many seconds the oldest.

    ``at_least``: not every due task was looked at, so there may be more, and older ones.
    """

    type: str
    count: int
    oldest_seconds: float
    at_least: bool = False
    version: int = 1


class Overdue(NamedTuple):
    """Whether there are ``workers`` whose lease has run out, and ``tasks`` that were not started in time."""

    workers: bool
    tasks: bool


class QueueHealth(Protocol):
    """Reads for whoever looks after the queue; each is cheap however many tasks wait."""

    def moment(self) -> datetime:
        """The database's clock, at the moment of the call."""
        ...

    def overdue(self) -> Overdue:
        """Whether anything waits for somebody to look after the queue."""
        ...

    def snapshots(self) -> Snapshots:
        """Whose snapshot is the oldest of those that keep dead rows of tasks alive, this session's own aside."""
        ...

    def dead_rows(self) -> DeadRows | None:
        """None where rows do not die."""
        ...

    def upkeep(self) -> Sequence[UpkeepStep] | None:
        """How each step is doing that was ever tried; None where nothing is to be kept up."""
        ...

    def waiting_queues(self) -> Sequence[WaitingQueue]:
        """Every queue that has due tasks, longest waiting first.

        Exact while due tasks have no more than a thousand different pairs of queue and priority.
        """
        ...

    def waiting_types(self) -> Sequence[WaitingType]:
        """Types of due tasks and their versions, by name, from the first thousand in each queue.

        Tasks that nobody claims end up there, when those that somebody does are gone.
        """
        ...
