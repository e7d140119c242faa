"""Discard: remove dead letters, because nobody wants them back, or because they are old."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Unpack

from app.domain.dead_letters.actions import ActionId, LetterActionKind, LetterBulk, checked_actor
from app.domain.dead_letters.filter import LetterFilter, LetterOptions
from app.domain.identifiers import TaskId
from app.domain.moments import checked_seconds
from app.domain.tasks.task import WorkerTask
from app.usecases.dead_letters.bulk import ActOnLetters, Order, checked_rate, recorded_at_once
from app.usecases.dead_letters.letter import locked_letter
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DiscardDeadLetter:
    """Remove one dead letter, with all that is known of it."""

    new_ids: Callable[[int], list[TaskId]]

    def __call__(self, tx: Transaction, task_id: TaskId, *, by: str | None = None) -> WorkerTask:
        """The task as it was; it is on record who did it, if *by* says so.

        Raises InvalidInput, TaskNotFound, NotADeadLetter.
        """
        actor = checked_actor(by)
        letter = locked_letter(tx, task_id)
        wanted = LetterFilter(ids=(letter.id,))
        tx.dead_letters.discard(wanted, 1, after=None)
        recorded_at_once(tx, self.new_ids(1)[0], LetterActionKind.DISCARD, wanted=wanted, actor=actor, number=1)
        return letter


@dataclass(frozen=True, slots=True)
class DiscardDeadLetters:
    """Remove many dead letters."""

    act: ActOnLetters

    def __call__(
        self,
        tx: Transaction,
        *,
        preview: bool = False,
        rate: float | None = None,
        by: str | None = None,
        only_if_served: bool = False,
        **which: Unpack[LetterOptions],
    ) -> LetterBulk:
        """Those chosen as in LetterFilter; with *preview* nothing is done.

        A thousand at most are removed before this returns. More, or more than go in a second at this *rate* (letters a
        second), are worked through by a task, ``task_id``, as they stand now. Raises InvalidInput, and with
        *only_if_served* NobodyServes when that needs a task and no living worker would take it.
        """
        wanted = LetterFilter.of(which)
        order = Order(
            LetterActionKind.DISCARD, wanted, checked_actor(by), checked_rate(rate), only_if_served=only_if_served
        )
        if preview:
            return LetterBulk(summary=tx.dead_letters.summary(order.wanted))
        return self.act(tx, order)


@dataclass(frozen=True, slots=True)
class PurgeDeadLetters:
    """Remove the dead letters that are old."""

    act: ActOnLetters

    def __call__(
        self,
        tx: Transaction,
        *,
        older_than: timedelta | float,
        preview: bool = False,
        by: str | None = None,
        only_if_served: bool = False,
    ) -> LetterBulk:
        """Those that died longer ago than *older_than* (a timedelta, or seconds); otherwise as DiscardDeadLetters.

        Raises InvalidInput and NobodyServes.
        """
        wanted = _older_than(tx, checked_seconds("older_than", older_than))
        order = Order(LetterActionKind.PURGE, wanted, checked_actor(by), only_if_served=only_if_served)
        if preview:
            return LetterBulk(summary=tx.dead_letters.summary(wanted))
        return self.act(tx, order)


@dataclass(frozen=True, slots=True)
class PurgeSomeLetters:
    """Remove some of the dead letters that are older than ``seconds``; a short transaction, to be called again."""

    seconds: float
    batch: int = 2_000
    actor: str = "upkeep"

    def __call__(self, tx: Transaction, action_id: ActionId | None = None) -> tuple[int, ActionId | None]:
        """How many, to be called again while it is a whole ``batch``, and the action under which it is on record.

        *action_id* is that of the last call, where these belong together.
        """
        wanted = _older_than(tx, self.seconds)
        removed = len(tx.dead_letters.discard(wanted, self.batch, after=None).ids)
        if not removed:
            return 0, action_id
        if action_id is not None and tx.dead_letters.add_up(action_id, done=removed) is not None:
            return removed, action_id
        action_id = tx.new_ids(1)[0]
        recorded_at_once(tx, action_id, LetterActionKind.PURGE, wanted=wanted, actor=self.actor, number=removed)
        return removed, action_id


def _older_than(tx: Transaction, seconds: float) -> LetterFilter:
    return LetterFilter(died_before=tx.now() - timedelta(seconds=seconds))
