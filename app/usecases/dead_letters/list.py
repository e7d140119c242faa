"""List: read dead letters, count them, and see what was done about them."""

from dataclasses import dataclass
from typing import ClassVar, Unpack

from app.domain.dead_letters.actions import ActionId, LetterAction
from app.domain.dead_letters.errors import NoSuchAction
from app.domain.dead_letters.filter import LetterFilter, LetterOptions
from app.domain.dead_letters.repository import LetterPlace
from app.domain.dead_letters.summary import LetterSummary
from app.domain.errors import InvalidInput
from app.domain.numbers import checked_whole_number
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.find import MAX_LISTED
from app.usecases.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ListDeadLetters:
    """Read the latest dead letters that are wanted."""

    needs_transaction: ClassVar[bool] = False

    def __call__(
        self,
        tx: Transaction,
        *,
        limit: int = 50,
        after: WorkerTask | LetterPlace | None = None,
        **which: Unpack[LetterOptions],
    ) -> list[WorkerTask]:
        """At most *limit* (1 to 10,000) letters, the latest death first, chosen as in LetterFilter.

        The next page begins behind *after*, the last letter of the one before; that may be gone meanwhile, and what
        dies meanwhile moves nothing. Raises InvalidInput.
        """
        limit = checked_whole_number("limit", limit, low=1, high=MAX_LISTED)
        return list(tx.dead_letters.newest(LetterFilter.of(which), limit, _place(after)))


@dataclass(frozen=True, slots=True)
class CountDeadLetters:
    """Count dead letters by type and reason."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, **which: Unpack[LetterOptions]) -> LetterSummary:
        """Those chosen as in LetterFilter; all of them are looked at. Raises InvalidInput."""
        return tx.dead_letters.summary(LetterFilter.of(which))


@dataclass(frozen=True, slots=True)
class ListDeadLetterActions:
    """Read what was done about dead letters, and by whom."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, *, limit: int = 50) -> list[LetterAction]:
        """At most *limit* (1 to 10,000) actions, the newest first. Raises InvalidInput."""
        limit = checked_whole_number("limit", limit, low=1, high=MAX_LISTED)
        return list(tx.dead_letters.actions(limit))


@dataclass(frozen=True, slots=True)
class FindDeadLetterAction:
    """Read how far an action has come."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, action_id: ActionId) -> LetterAction:
        """Raises NoSuchAction."""
        action = tx.dead_letters.find_action(action_id)
        if action is None:
            raise NoSuchAction(action_id)
        return action


def _place(after: object) -> LetterPlace | None:
    match after:
        case None | LetterPlace():
            return after
        case WorkerTask():
            return LetterPlace.of(after)
    raise InvalidInput("after", after, "must be a dead letter, or the place of one")
