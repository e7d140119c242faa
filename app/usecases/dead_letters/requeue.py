"""Requeue: put dead letters back on their queues."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

from app.domain.dead_letters.actions import LetterActionKind, LetterBulk, checked_actor
from app.domain.dead_letters.errors import DeadLetterLoop
from app.domain.dead_letters.filter import LetterFilter, LetterOptions
from app.domain.dead_letters.repository import MOST_REQUEUES
from app.domain.identifiers import TaskId
from app.domain.tasks.task import WorkerTask
from app.usecases.dead_letters.bulk import ActOnLetters, Order, checked_rate, recorded_at_once, tell_requeued
from app.usecases.dead_letters.letter import locked_letter
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class RequeueDeadLetter:
    """Put one dead letter back on its queue, due now, with its whole budget and all of its errors."""

    new_ids: Callable[[int], list[TaskId]]

    def __call__(self, tx: Transaction, task_id: TaskId, *, force: bool = False, by: str | None = None) -> WorkerTask:
        """The pending task, under the id that it had; it is on record who did it, if *by* says so.

        Raises InvalidInput, TaskNotFound, NotADeadLetter, and unless *force* DeadLetterLoop for one that was requeued
        twice already.
        """
        actor = checked_actor(by)
        letter = locked_letter(tx, task_id)
        if letter.requeues >= MOST_REQUEUES and not force:
            raise DeadLetterLoop(letter.id, letter.requeues)
        letter.requeue(now=tx.now())
        tx.tasks.save([letter])
        tx.wake([letter.queue])
        wanted = LetterFilter(ids=(letter.id,))
        recorded_at_once(
            tx, self.new_ids(1)[0], LetterActionKind.REQUEUE, wanted=wanted, actor=actor, number=1, forced=force
        )
        tell_requeued(tx, [letter.id])
        return letter


@dataclass(frozen=True, slots=True)
class RequeueDeadLetters:
    """Put many dead letters back on their queues."""

    act: ActOnLetters

    def __call__(
        self,
        tx: Transaction,
        *,
        preview: bool = False,
        rate: float | None = None,
        force: bool = False,
        by: str | None = None,
        only_if_served: bool = False,
        **which: Unpack[LetterOptions],
    ) -> LetterBulk:
        """Those chosen as in LetterFilter, the earliest death first; with *preview* nothing is done.

        A thousand at most are put back before this returns. More, or more than go in a second at this *rate* (letters a
        second), are worked through by a task, ``task_id``, as they stand now. Those that were requeued twice already
        are left where they are and counted as ``skipped``, unless *force*. Raises InvalidInput, and with
        *only_if_served* NobodyServes when that needs a task and no living worker would take it.
        """
        order = Order(
            LetterActionKind.REQUEUE,
            LetterFilter.of(which),
            checked_actor(by),
            checked_rate(rate),
            bool(force),
            only_if_served,
        )
        if preview:
            return LetterBulk(summary=tx.dead_letters.summary(order.wanted))
        return self.act(tx, order)
