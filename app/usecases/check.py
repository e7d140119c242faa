"""Check: what is wrong with the queue, one sentence each."""

from dataclasses import dataclass

from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.statistics import TaskStats, WaitingType
from app.domain.workers import LiveWorker
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """What was found; ``problems`` is empty when all is well."""

    stats: TaskStats
    workers: tuple[LiveWorker, ...]
    unknown_types: tuple[WaitingType, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckQueue:
    """Look at the workers and at what waits."""

    jobs: JobCatalog

    def __call__(self, tx: Transaction) -> QueueReport:
        workers = tuple(tx.workers.all())
        alive = [worker for worker in workers if not worker.is_late]
        # While workers run, it is theirs to know a type; with none, the best guess is that ours is what they will have.
        known = {type for worker in alive for type in worker.node.types} if alive else set(self.jobs.types())
        unknown = tuple(waiting for waiting in tx.statistics.waiting_types() if waiting.type not in known)
        return QueueReport(
            stats=tx.statistics.counts(),
            workers=workers,
            unknown_types=unknown,
            problems=(*_worker_problems(workers), *_unknown_problems(unknown)),
        )


def _worker_problems(workers: tuple[LiveWorker, ...]) -> list[str]:
    alive = [worker for worker in workers if not worker.is_late]
    if not alive:
        return ["No worker is alive: start one with `python -m app worker`."]
    return [
        f"Worker {worker.node.id} hears no notifications (a transaction pooler in between?): it polls."
        for worker in alive
        if worker.hears_notifications is False
    ]


def _unknown_problems(unknown: tuple[WaitingType, ...]) -> list[str]:
    return [
        f"{waiting.count} due task(s) of type {waiting.type!r} wait for a worker that knows that type"
        f" (the oldest for {waiting.oldest_seconds:.0f} s)."
        for waiting in unknown
    ]
