"""Settle: store how attempts ended, each under the lease it ran under."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.domain.identifiers import TaskId
from app.domain.json import JsonText
from app.domain.tasks.events import (
    TaskCancelled,
    TaskCompleted,
    TaskDeadLettered,
    TaskEvent,
    TaskFailed,
    TaskLeaseLost,
    TaskProgressed,
    TaskRetried,
)
from app.domain.tasks.outcomes import Completed, Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.repository import Progress, Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.alert import deaths_among, raise_alerts, raises_alert
from app.usecases.transaction import Transaction

# Of these, idle workers must hear: a task that falls due in a second, or now, would wait for their next poll.
_COMES_BACK = (RetryIn, Snoozed, Released)
_IS_OVER = (Completed, Failed, GivenUp)


@dataclass(frozen=True, slots=True)
class SettleTasks:
    """Store the outcomes of a batch of attempts in one statement.

    What was cancelled meanwhile ends cancelled; unless ``or_cancelled``, it is refused, like a lost lease.
    """

    needs_transaction: ClassVar[bool] = False

    or_cancelled: bool = True

    def needs_transaction_for(self, ended: Sequence[Settlement], **_: object) -> bool:
        """As in UnitOfWork: a death is stored together with its alert."""
        return raises_alert(ended)

    def __call__(self, tx: Transaction, ended: Sequence[Settlement], *, again: bool = False) -> frozenset[TaskId]:
        """Settle and return the ids that were refused, because their lease was lost.

        *again* says that an earlier call with these attempts broke off with its fate unknown: what it did store is
        recognised and not taken for a lost lease.
        """
        settled = tx.tasks.settle(ended, or_cancelled=self.or_cancelled)
        cancelled = settled.cancelled
        refused: list[Settlement] = []
        if len(settled.ids) < len(ended):
            refused = [one for one in ended if one.task.id not in settled.ids]
            if again:
                earlier = tx.tasks.settled_before(refused)
                _tell(tx, [one for one in refused if one.task.id in earlier.ids], earlier.at, earlier.cancelled)
                refused = [one for one in refused if one.task.id not in earlier.ids]
            ended = [one for one in ended if one.task.id in settled.ids]
        raise_alerts(tx, deaths_among(ended, but=cancelled))
        _tell(tx, ended, settled.at, cancelled)
        if refused and tx.wants(TaskLeaseLost):
            for one in refused:
                tx.record(TaskLeaseLost(task=one.task.snapshot()))
        return frozenset(one.task.id for one in refused)


@dataclass(frozen=True, slots=True)
class SettleInDoubt:
    """Settle an attempt whose completion was to commit in a handler's transaction, of which no answer came.

    There is no need to know what became of that: until it has ended, its lock on the task is waited for, and after
    that the task is either completed, which refuses this, or as it was, with nothing of what the handler wrote.
    """

    def __call__(self, tx: Transaction, ended: Settlement, completed: Completed | None) -> bool:
        """Whether the attempt still had its lease. *completed* is told where that is what happened, if it is given."""
        settled = tx.tasks.settle([ended])
        if settled.ids:
            raise_alerts(tx, deaths_among([ended], but=settled.cancelled))
            _tell(tx, [ended], settled.at, settled.cancelled)
            return True
        found = tx.statistics.find(ended.task.id)
        if found is None or found.lease_seq != ended.task.lease_seq:
            if tx.wants(TaskLeaseLost):
                tx.record(TaskLeaseLost(task=ended.task.snapshot()))
            return False
        if found.status is not TaskStatus.COMPLETED:  # an earlier call, whose answer was lost in its turn
            cancelled = [found.id] if found.status is TaskStatus.CANCELLED else []
            _tell(tx, [ended], found.finished_at or tx.now(), cancelled)
        elif completed is not None:
            _tell(tx, [Settlement(ended.task, completed)], found.finished_at or tx.now())
        return True


def _tell(
    tx: Transaction, settled: Sequence[Settlement], at: datetime, cancelled: Collection[TaskId] = frozenset()
) -> None:
    """Wake workers for what came back, and record what listeners want to hear.

    The *cancelled* ones ended so, whatever their outcome was.
    """
    if cancelled:
        record_cancelled(tx, cancelled)
        settled = [one for one in settled if one.task.id not in cancelled]
    tx.wake({one.task.queue for one in settled if isinstance(one.outcome, _COMES_BACK)})
    if tx.is_waited_for():
        tx.announce(one.task.id for one in settled if isinstance(one.outcome, _IS_OVER))
    if tx.wants(*_TOLD):
        for one in settled:
            record_outcome(tx, one.task, one.outcome, at)


@dataclass(frozen=True, slots=True)
class ReportedProgress:
    """A running task, how far it says it has come, and what it saves; None of the two leaves what was said before."""

    task: WorkerTask
    percent: float | None
    message: str | None
    checkpoint: JsonText | None = None

    def after(self, earlier: "ReportedProgress | None") -> "ReportedProgress":
        """This and what it leaves of an *earlier* one of the same attempt."""
        if earlier is None or (self.percent is not None and self.checkpoint is not None):
            return self
        said = self if self.percent is not None else earlier
        return ReportedProgress(self.task, said.percent, said.message, self.checkpoint or earlier.checkpoint)


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """Store the progress of running attempts in one statement."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, reports: Sequence[ReportedProgress]) -> None:
        """Reports under a lost lease are dropped; the settlement will notice."""
        accepted = tx.tasks.progress(
            [
                Progress(
                    task_id=one.task.id,
                    lease_seq=one.task.lease_seq,
                    percent=one.percent,
                    message=one.message,
                    checkpoint=one.checkpoint,
                )
                for one in reports
            ]
        )
        if tx.wants(TaskProgressed):
            for one in reports:
                if one.percent is not None and one.task.id in accepted:
                    task = one.task.snapshot()
                    task.report(one.percent, one.message)
                    tx.record(TaskProgressed(task=task, percent=one.percent, message=one.message))


_HEARD_IN: dict[type[Outcome], tuple[type[TaskEvent], ...]] = {
    Completed: (TaskCompleted,),
    Failed: (TaskFailed, TaskDeadLettered),
    RetryIn: (TaskFailed, TaskRetried),
    GivenUp: (TaskCancelled,),
}
_TOLD = tuple({kind: None for kinds in _HEARD_IN.values() for kind in kinds})


def record_cancelled(tx: Transaction, ids: Collection[TaskId]) -> None:
    """Tell that these tasks ended cancelled, whatever came of their attempts; why, is stored with them."""
    if not ids:
        return
    if tx.is_waited_for():
        tx.announce(ids)
    if tx.wants(TaskCancelled):
        for task in tx.results.look(list(ids)).ended:
            tx.record(TaskCancelled(task=task, reason=task.error))


def record_outcome(tx: Transaction, task: WorkerTask, outcome: Outcome, at: datetime) -> None:
    """Record what listeners want to hear of *task*, whose running attempt ended in *outcome* at *at*."""
    kinds = _HEARD_IN.get(type(outcome))
    if kinds is None or not tx.wants(*kinds):
        return
    started_at = task.started_at or at
    # A copy, because this transaction may yet fail and be tried again with the same task.
    task = task.snapshot()
    task.settle(outcome, now=at)
    match outcome:
        case Completed():
            duration = (at - started_at).total_seconds()
            tx.record(TaskCompleted(task=task, result=task.result, duration=duration))
        case Failed(failure, death):
            tx.record(TaskFailed(task=task, error=str(failure), will_retry=False))
            if death.is_letter:
                tx.record(TaskDeadLettered(task=task, reason=death.reason))
        case RetryIn(failure):
            tx.record(TaskFailed(task=task, error=str(failure), will_retry=True))
            tx.record(TaskRetried(task=task, manual=False))
        case GivenUp(reason):
            tx.record(TaskCancelled(task=task, reason=reason))
