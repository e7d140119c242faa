"""Release: give tasks back untouched, for a worker that must end at once."""

from dataclasses import dataclass

from app.domain.tasks.outcomes import Released
from app.domain.tasks.repository import Settlement
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ReleaseHeld:
    """Put back everything that runs under a worker, no attempt spent, and sign the worker off unless told otherwise."""

    def __call__(self, tx: Transaction, worker_id: str, *, sign_off: bool = True) -> int:
        """Returns how many tasks were given back. Without *sign_off* the lease runs out by itself: what is claimed for
        this worker even now, by a statement that the server is still at work on, will then be recovered."""
        held = tx.tasks.held_by(worker_id)
        if held:
            tx.tasks.settle([Settlement(task, Released()) for task in held])
            tx.wake({task.queue for task in held})
        if sign_off:
            tx.workers.remove(worker_id)
        return len(held)
