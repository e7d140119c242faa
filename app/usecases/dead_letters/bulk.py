"""Bulk: do something about many dead letters, within the call where they are few, as a task where they are more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from app.domain.dead_letters.actions import WORK, ActionId, LetterAction, LetterActionKind, LetterBulk
from app.domain.dead_letters.errors import NobodyServes
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import LetterPlace, Moved
from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId
from app.domain.tasks.events import TaskRetried
from app.domain.tasks.new import NewTask
from app.domain.workers import WorkerNode
from app.usecases.tasks.enqueue import EnqueueTasks
from app.usecases.transaction import Transaction

AT_ONCE = 1_000
"""Letters that are dealt with within the call; more are worked through by a task."""
CHUNK = 500
"""Letters that are dealt with in one transaction of that task."""
MAX_ATTEMPTS = 1_000
"""Of such a task: each goes on where the one before left off."""
QUEUE = "default"
FASTEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done about which letters: at most *rate* a second, if that is said.

    With *only_if_served* a task is made only if a living worker would take it.
    """

    kind: LetterActionKind
    wanted: LetterFilter
    actor: str | None
    rate: float | None = None
    force: bool = False
    only_if_served: bool = False


@dataclass(frozen=True, slots=True)
class ActOnLetters:
    """Do it now, or have a task do it; in either case it is on record."""

    enqueue: EnqueueTasks
    new_ids: Callable[[int], list[TaskId]]
    at_once: int = AT_ONCE

    def __call__(self, tx: Transaction, order: Order) -> LetterBulk:
        summary = tx.dead_letters.summary(order.wanted)
        action = LetterAction(
            id=self.new_ids(1)[0],
            at=tx.now(),
            kind=order.kind,
            actor=order.actor,
            filter=order.wanted.as_json(),
            total=summary.total,
            forced=order.force,
        )
        fast_enough = order.rate is None or summary.total <= order.rate
        if summary.total <= self.at_once and fast_enough:
            return LetterBulk(summary=summary, action=self._now(tx, action, order.wanted))
        return LetterBulk(summary=summary, action=self._by_a_task(tx, action, order))

    def _now(self, tx: Transaction, action: LetterAction, wanted: LetterFilter) -> LetterAction:
        tx.dead_letters.record(action)
        work = WorkThroughLetters(action.id, wanted, self.at_once)
        work(tx)
        return EndLetterAction(action.id, wanted)(tx) or action

    def _by_a_task(self, tx: Transaction, action: LetterAction, order: Order) -> LetterAction:
        # What dies from now on is another matter: of those that are put back, none is taken twice.
        wanted = order.wanted.until(tx.now())
        payload = {"action": str(action.id), "rate": order.rate}
        queue = _served(worker.node for worker in tx.workers.all() if not worker.is_late)
        if queue is None and order.only_if_served:
            raise NobodyServes(action.total)
        new = NewTask(type=WORK, payload=payload, queue=queue or QUEUE, max_attempts=MAX_ATTEMPTS)
        [task] = self.enqueue.put(tx, [new])
        action = replace(action, filter=wanted.as_json(), task_id=task.id, task_status=task.status)
        tx.dead_letters.record(action)
        return action


def _served(alive: Iterable[WorkerNode]) -> str | None:
    """The queue for the task: the usual one, unless those who are alive and could do it look at others alone.

    None when nobody could.
    """
    able = [node for node in alive if WORK in node.types]
    if not able:
        return None
    if any(not node.queues or QUEUE in node.queues for node in able):
        return QUEUE
    return min(able[0].queues)


@dataclass(frozen=True, slots=True)
class Step:
    """How far an action has come; ``moved`` is what this step did about it."""

    action: LetterAction
    moved: Moved


@dataclass(frozen=True, slots=True)
class WorkThroughLetters:
    """Take the next letters that an action is about, in a transaction with the record of it."""

    action_id: ActionId
    wanted: LetterFilter
    limit: int = CHUNK

    def __call__(self, tx: Transaction, after: LetterPlace | None = None) -> Step | None:
        """The earliest deaths behind *after*; None when there is no such action."""
        action = tx.dead_letters.find_action(self.action_id)
        if action is None:
            return None
        if action.kind is LetterActionKind.REQUEUE:
            moved = tx.dead_letters.requeue(self.wanted, self.limit, after=after, force=action.forced)
            tx.wake(moved.queues)
            tell_requeued(tx, moved.ids)
        else:
            moved = tx.dead_letters.discard(self.wanted, self.limit, after=after)
        if moved.ids:
            action = tx.dead_letters.add_up(self.action_id, done=len(moved.ids)) or action
        return Step(action, moved)


@dataclass(frozen=True, slots=True)
class EndLetterAction:
    """Note that an action is through, and what it left."""

    action_id: ActionId
    wanted: LetterFilter

    def __call__(self, tx: Transaction) -> LetterAction | None:
        action = tx.dead_letters.find_action(self.action_id)
        if action is None:
            return None
        guarded = action.kind is LetterActionKind.REQUEUE and not action.forced
        left = tx.dead_letters.summary(self.wanted).looping if guarded else 0
        return tx.dead_letters.end(self.action_id, skipped=left)


@dataclass(frozen=True, slots=True)
class CountLeft:
    """How many letters an action has still to deal with; somebody else may be at them."""

    wanted: LetterFilter

    def __call__(self, tx: Transaction, *, loops: bool) -> int:
        summary = tx.dead_letters.summary(self.wanted)
        return summary.total - (0 if loops else summary.looping)


def tell_requeued(tx: Transaction, ids: list[TaskId]) -> None:
    """Record that these were put back, if anybody listens."""
    if ids and tx.wants(TaskRetried):
        for task in tx.tasks.lock(ids):
            tx.record(TaskRetried(task=task.snapshot(), manual=True))


def checked_rate(value: object) -> float | None:
    """Letters a second. Raises InvalidInput."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= FASTEST:
        raise InvalidInput("rate", value, "must be a number of letters per second, more than 0 and at most a million")
    return float(value)


def recorded_at_once(
    tx: Transaction,
    action_id: ActionId,
    kind: LetterActionKind,
    *,
    wanted: LetterFilter,
    actor: str | None,
    number: int,
    forced: bool = False,
) -> None:
    """Put on record what has just been done, in this transaction, about *number* letters."""
    now = tx.now()
    tx.dead_letters.record(
        LetterAction(
            id=action_id,
            at=now,
            kind=kind,
            actor=actor,
            filter=wanted.as_json(),
            total=number,
            done=number,
            forced=forced,
            ended_at=now,
        )
    )
