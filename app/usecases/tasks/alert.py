"""Alert: enqueue with a death the task that its job asks for."""

from collections.abc import Container, Iterable, Iterator, Sequence

from app.domain.identifiers import TaskId
from app.domain.tasks.deaths import Alert, Death
from app.domain.tasks.events import TaskCreated
from app.domain.tasks.new import NewTask
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import Addition, Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction

ORIGIN = "dead_letter"
"""Under this name an alert says, in its ``origin``, which task it is about."""


def raises_alert(ended: Sequence[Settlement]) -> bool:
    """Whether any of *ended* is a death with an alert."""
    # By its very type, for this is asked of every batch that is settled, and the answer is nearly always no.
    return any(type(outcome) is Failed and _alert_of(task, outcome.death) is not None for task, outcome, _ in ended)


def raise_alerts(tx: Transaction, deaths: Iterable[tuple[WorkerTask, Death, str]]) -> None:
    """Enqueue, in this transaction, the alerts of *deaths*: of tasks, with their last errors."""
    new = [
        _new(task, death, alert, error)
        for task, death, error in deaths
        if (alert := _alert_of(task, death)) is not None
    ]
    if not new:
        return
    additions = [
        Addition(task_id, one, alert.max_attempts, alert.version)
        for task_id, (one, alert) in zip(tx.new_ids(len(new)), new, strict=True)
    ]
    created = tx.tasks.add(additions)
    tx.wake({task.queue for task in created})
    if tx.wants(TaskCreated):
        for task in created:
            tx.record(TaskCreated(task=task.snapshot()))


def deaths_among(settled: Iterable[Settlement], *, but: Container[TaskId]) -> Iterator[tuple[WorkerTask, Death, str]]:
    """The deaths among what was settled, *but* for those that ended cancelled instead."""
    for task, outcome, _ in settled:
        if type(outcome) is Failed and task.id not in but:
            yield task, outcome.death, str(outcome.failure)


def _alert_of(task: WorkerTask, death: Death) -> Alert | None:
    # What an alert dies of raises no other one, or they would go on for ever.
    return None if isinstance(task.origin, dict) and ORIGIN in task.origin else death.alert


def _new(task: WorkerTask, death: Death, alert: Alert, error: str) -> tuple[NewTask, Alert]:
    payload = {
        "task_id": str(task.id),
        "type": task.type,
        "queue": task.queue,
        "reason": str(death.reason),
        "error": error,
        "attempts": task.attempts,
    }
    new = NewTask(
        type=alert.type,
        payload=payload,
        queue=alert.queue,
        priority=alert.priority,
        correlation_id=task.correlation_id,
        origin={ORIGIN: str(task.id)},
    )
    return new, alert
