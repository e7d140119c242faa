"""Check: what is wrong with the queue, one sentence each, and the facts beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.clock import Clock
from app.domain.health import (
    UPKEEP_SECONDS,
    ClockDifference,
    DeadRows,
    HolderKind,
    Snapshot,
    Snapshots,
    UpkeepStep,
    WaitingQueue,
    WaitingType,
)
from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.statistics import TaskStats
from app.domain.workers import LiveWorker, WorkerNode
from app.usecases.transaction import Transaction

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """What was found; ``problems`` is empty when all is well. ``notes`` are worth knowing and no reason to act."""

    stats: TaskStats
    workers: tuple[LiveWorker, ...]
    unknown_types: tuple[WaitingType, ...]
    newer_versions: tuple[WaitingType, ...]
    waiting_queues: tuple[WaitingQueue, ...]
    snapshots: Snapshots
    dead_rows: DeadRows | None
    upkeep: tuple[UpkeepStep, ...] | None
    clock: ClockDifference
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Due tasks that no worker may take: their ``types`` have no handler, or their payloads are of ``versions`` that
    are newer than any handler knows."""

    types: tuple[WaitingType, ...]
    versions: tuple[WaitingType, ...]


@dataclass(frozen=True, slots=True)
class FindUnknown:
    """What is due and nobody knows how to do."""

    jobs: JobCatalog

    def __call__(self, tx: Transaction) -> Unknown:
        known = self._known([worker.node for worker in tx.workers.all() if not worker.is_late])
        waiting = tx.health.waiting_types()
        return Unknown(
            types=tuple(one for one in waiting if one.type not in known),
            versions=tuple(one for one in waiting if one.version > known.get(one.type, one.version)),
        )

    def _known(self, alive: Sequence[WorkerNode]) -> dict[str, int]:
        """Each type that is known, and up to which version."""
        if not alive:
            # While workers run, it is theirs to know; with none, the best guess is that ours is what they will have.
            return {job.type: job.version for job in self.jobs}
        known: dict[str, int] = {}
        for node in alive:
            for type, version in zip(node.types, node.versions or [1] * len(node.types), strict=True):
                known[type] = max(version, known.get(type, version))
        return known


@dataclass(frozen=True, slots=True)
class CheckQueue:
    """Look at the workers, at what waits, and at what the database says of itself.

    *clock* is this machine's, to compare with the database's.
    """

    jobs: JobCatalog
    clock: Clock

    def __call__(self, tx: Transaction) -> QueueReport:
        workers = tuple(tx.workers.all())
        unknown = FindUnknown(self.jobs)(tx)
        upkeep = tx.health.upkeep()
        snapshots, dead_rows, clock = tx.health.snapshots(), tx.health.dead_rows(), self._difference(tx)
        return QueueReport(
            stats=tx.statistics.counts(),
            workers=workers,
            unknown_types=unknown.types,
            newer_versions=unknown.versions,
            waiting_queues=tuple(tx.health.waiting_queues()),
            snapshots=snapshots,
            dead_rows=dead_rows,
            upkeep=None if upkeep is None else tuple(upkeep),
            clock=clock,
            problems=(
                *_worker_problems(workers),
                *(_unknown_problem(waiting, "type") for waiting in unknown.types),
                *(_unknown_problem(waiting, "version") for waiting in unknown.versions),
                *_dead_row_problems(dead_rows, snapshots.oldest),
                *_upkeep_problems(upkeep, workers, tx.now()),
            ),
            notes=(*_clock_notes(clock), *_upkeep_notes(upkeep)),
        )

    def _difference(self, tx: Transaction) -> ClockDifference:
        """The most exact of a few: what makes a round trip slow makes its answer uncertain."""
        return min((self._compare(tx) for _ in range(_TRIES)), key=lambda difference: difference.error)

    def _compare(self, tx: Transaction) -> ClockDifference:
        before = self.clock.now()
        theirs = tx.health.moment()
        return ClockDifference.between(before, theirs, self.clock.now())


def _worker_problems(workers: tuple[LiveWorker, ...]) -> list[str]:
    alive = [worker for worker in workers if not worker.is_late]
    if not alive:
        return ["No worker is alive: start one with `python -m app worker`."]
    return [
        f"Worker {worker.node.id} hears no notifications (a transaction pooler in between?): it polls."
        for worker in alive
        if worker.hears_notifications is False
    ]


def _unknown_problem(waiting: WaitingType, what: str) -> str:
    version = "" if waiting.version == 1 else f" in version {waiting.version}"
    return (
        f"{'At least ' if waiting.at_least else ''}{waiting.count} due task(s) of type {waiting.type!r}{version} wait"
        f" for a worker that knows that {what} (the oldest for {waiting.oldest_seconds:.0f} s)."
    )


def _dead_row_problems(rows: DeadRows | None, oldest: Snapshot | None) -> list[str]:
    """One sentence at most: while a snapshot is in the way, no vacuum would help."""
    if rows is None or not rows.call_for_vacuum:
        return []
    if oldest is not None and oldest.is_old:
        return [
            f"{_holder(oldest)} has kept a snapshot open {_since(oldest)}: {rows.dead:,} dead rows of tasks cannot be"
            f" removed as long, and every claim has to step over them. {_remedy(oldest)}"
        ]
    if rows.are_neglected:
        last = "never" if rows.vacuum_seconds is None else f"{rows.vacuum_seconds:.0f} s ago"
        return [
            f"{rows.dead:,} rows of tasks are dead ({rows.share:.0%}), autovacuum comes from {rows.threshold:,} on and"
            f" was here {last}: see whether it is switched off or busy elsewhere; VACUUM of that table helps at once."
        ]
    return []


def _upkeep_problems(steps: Sequence[UpkeepStep] | None, workers: tuple[LiveWorker, ...], now: datetime) -> list[str]:
    """None while no worker has been there for long enough to have done it."""
    since = [(now - worker.started_at).total_seconds() for worker in workers if not worker.is_late]
    if steps is None or max(since, default=0.0) <= UPKEEP_SECONDS:
        return []
    if not steps:
        return [f"No worker has noted a round of upkeep for {max(since):.0f} s: look into their logs."]
    return [
        f"Upkeep: {step.name!r} has not gone through"
        + (" yet" if step.seconds is None else f" for {step.seconds:.0f} s")
        + (f" ({step.error})" if step.error else "")
        + ": look into the logs of the workers."
        for step in steps
        if step.is_late
    ]


def _upkeep_notes(steps: Sequence[UpkeepStep] | None) -> list[str]:
    return [f"Upkeep: {step.error}" for step in steps or () if step.error and not step.is_late]


def _holder(snapshot: Snapshot) -> str:
    known = [
        f"application {snapshot.name!r}" if snapshot.pid is not None and snapshot.kind is not HolderKind.SLOT else "",
        f"user {snapshot.user}" if snapshot.user else "",
        snapshot.state or "",
    ]
    told = ", ".join(fact for fact in known if fact)
    return _subject(snapshot) + (f" ({told})" if told else "")


def _subject(snapshot: Snapshot) -> str:
    match snapshot.kind:
        case HolderKind.SESSION:
            return f"Session {snapshot.pid}"
        case HolderKind.REPLICA:
            return f"The replica behind session {snapshot.pid}"
        case HolderKind.SLOT:
            return f"Replication slot {snapshot.name!r}"
        case HolderKind.PREPARED:
            return f"Prepared transaction {snapshot.name!r}"


def _since(snapshot: Snapshot) -> str:
    if snapshot.seconds is None:
        return f"for {snapshot.transactions:,} transactions"
    return f"for {snapshot.seconds:.0f} s"


def _remedy(snapshot: Snapshot) -> str:
    match snapshot.kind:
        case HolderKind.SESSION:
            return f"End its transaction, or the session: SELECT pg_terminate_backend({snapshot.pid})."
        case HolderKind.REPLICA:
            return "End the long query there, or switch its hot_standby_feedback off."
        case HolderKind.SLOT:
            return f"Let its replica catch up, or drop it: SELECT pg_drop_replication_slot('{snapshot.name}')."
        case HolderKind.PREPARED:
            return f"COMMIT PREPARED or ROLLBACK PREPARED '{snapshot.name}'."


def _clock_notes(clock: ClockDifference) -> list[str]:
    if not clock.is_large:
        return []
    way = "behind" if clock.seconds > 0 else "ahead of"
    return [
        f"The clock of this machine is {abs(clock.seconds):.1f} s {way} the database's. Workers go by the database's;"
        " what is scheduled by this one comes early or late by as much."
    ]
