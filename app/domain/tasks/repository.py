"""Where tasks are kept, said in sets: one call is one statement, a single task is a list of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from app.domain.identifiers import TaskId
from app.domain.json import JsonText
from app.domain.tasks.new import NewTask
from app.domain.tasks.outcomes import Outcome
from app.domain.tasks.task import WorkerTask


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order in which a queue is claimed: that of the task which stood there."""

    queue: str
    priority: int
    scheduled_at: datetime
    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Which due tasks a worker would take: of these types, from these queues (empty: from all), at most *limit*.

    ``versions`` says, for each of the types, up to which version its payloads are known; empty, only the first of each
    is. What is newer is left to a newer worker. ``promote`` says that scheduled tasks may have fallen due meanwhile;
    without it a claim need not look for them. ``after`` names queues, and where to start in each: nothing is taken from
    others, nor from before. Empty, all are claimed from their fronts.
    """

    worker_id: str
    types: tuple[str, ...]
    versions: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()
    limit: int = 1
    promote: bool = True
    after: tuple[Position, ...] = ()


class Claimed(NamedTuple):
    """The *tasks* that a claim took, in their order, and the seconds it searched, beyond what they explain.

    ``searched`` is None where it was not noticed: nobody can say of nothing how long it took to find.
    """

    tasks: list[WorkerTask]
    searched: float | None


class Settlement(NamedTuple):
    """How the running attempt of *task* ended, which is as it was claimed.

    Its ``lease_seq`` is the fence: when the task has been claimed again since, the settlement is refused. A tuple,
    because there is one for each attempt and it costs half of a frozen dataclass.
    """

    task: WorkerTask
    outcome: Outcome
    checkpoint: JsonText | None = None
    """What the attempt saved for the next one; None leaves what is stored."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Which settlements were accepted, and when by the database's clock; the others had lost their lease.

    ``at`` means nothing when ``ids`` is empty. ``cancelled`` are those of them that somebody had cancelled meanwhile:
    they ended so, whatever their outcome was.
    """

    ids: frozenset[TaskId]
    at: datetime
    cancelled: frozenset[TaskId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running attempt has come, in percent; addressed to its lease like a settlement.

    Without ``percent`` what is stored of it stays, the message too; without ``checkpoint``, the stored one.
    """

    task_id: TaskId
    lease_seq: int
    percent: float | None
    message: str | None = None
    checkpoint: JsonText | None = None


class Addition(NamedTuple):
    """A new task with what was decided for it: its id, its budget, the version of its payload, and the seconds after
    falling due within which it must be started.

    A tuple, because bulk has a hundred thousand.
    """

    id: TaskId
    new: NewTask
    max_attempts: int
    version: int = 1
    ttl: float | None = None


class TaskRepository(Protocol):
    """Kept in PostgreSQL or in memory; ``tests/contract`` holds every implementation to the same behaviour."""

    def add(self, additions: Sequence[Addition]) -> list[WorkerTask]:
        """Store new tasks as pending, all or none; returned in the order given."""
        ...

    def claim(self, request: ClaimRequest) -> Claimed:
        """Take due tasks, highest priority first, then oldest first; none that another claim takes.

        Nothing is claimed for a worker that is not registered, or is no longer.
        """
        ...

    def claim_by_id(
        self, task_id: TaskId, *, worker_id: str, types: Sequence[str], versions: Sequence[int] = ()
    ) -> WorkerTask | None:
        """Take this one task, whatever its queue and whenever it is due, if it is pending and of one of *types*.

        ``versions`` as in ClaimRequest. A claim of it that is under way is waited for. As ever, nothing is claimed for
        a worker that is not registered.
        """
        ...

    def next_due_in(self, request: ClaimRequest) -> float | None:
        """Seconds until a claim like this one would find something: 0 if now, None if nothing is waiting."""
        ...

    def time_front(self, request: ClaimRequest) -> float:
        """Seconds that the search of a claim like this one takes at the front, beyond what it finds there explains."""
        ...

    def settle(
        self, settlements: Sequence[Settlement], *, taking_back: bool = False, or_cancelled: bool = True
    ) -> Settled:
        """Store how attempts ended, each only if its lease still holds.

        What was cancelled while it ran ends cancelled; unless *or_cancelled* it is refused like a lost lease.
        *taking_back* says that this is done in the place of workers that died: the fence is raised then.
        """
        ...

    def settled_before(self, settlements: Sequence[Settlement]) -> Settled:
        """Which of these an earlier call has stored already, asked after its answer was lost.

        Whoever else ends a run under a lease (recovery, the next claim) raises the fence, so only one's own call can
        have left a task that does not run under one's own ``lease_seq``.
        """
        ...

    def progress(self, reports: Sequence[Progress]) -> frozenset[TaskId]:
        """Store progress of running attempts, each only if its lease still holds; returns whose did."""
        ...

    def held_by(self, worker_id: str) -> list[WorkerTask]:
        """The running tasks of one worker."""
        ...

    def lock_orphans(self, limit: int) -> list[WorkerTask]:
        """Running tasks whose worker is not registered any more, locked until the transaction ends.

        Those that somebody else has locked are skipped.
        """
        ...

    def lock_expired(self, limit: int) -> list[WorkerTask]:
        """Tasks that were not started in time, locked until the transaction ends; the longest expired first.

        Those that somebody else has locked are skipped.
        """
        ...

    def lock(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        """Those of these tasks that exist, locked until the transaction ends."""
        ...

    def lock_free(self, ids: Sequence[TaskId]) -> list[WorkerTask]:
        """Those of these tasks that have not ended, locked until the transaction ends.

        Those that somebody else has locked are skipped.
        """
        ...

    def save(self, tasks: Sequence[WorkerTask]) -> None:
        """Store what an operator's verb changed on locked tasks: status, schedule, budget, expiry, end."""
        ...

    def remove_finished(self, older_than_seconds: float) -> int:
        """Remove final tasks that finished longer ago than this; returns how many."""
        ...
