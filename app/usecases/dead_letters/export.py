"""Export: hand out dead letters one after the other, never all of them at once."""

import dataclasses
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Unpack
from uuid import UUID

from app.domain.dead_letters.actions import ActionId, LetterAction, LetterActionKind, checked_actor
from app.domain.dead_letters.filter import LetterFilter, LetterOptions
from app.domain.dead_letters.repository import LetterPlace
from app.domain.identifiers import TaskId
from app.domain.numbers import checked_whole_number
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction, UnitOfWork

PAGE = 100
"""Letters in memory at a time; each may have a megabyte of payload."""

_HIDDEN = ("lease_seq",)


@dataclass(frozen=True, slots=True)
class ExportDeadLetters:
    """The dead letters that are wanted, each as a dict of JSON under the names of WorkerTask.

    A page is one short transaction, and the next one is read when it is asked for. An export is on record from its
    first page on, with as many as were handed out.
    """

    unit_of_work: UnitOfWork
    new_ids: Callable[[int], list[TaskId]]

    def execute(
        self, *, limit: int | None = None, by: str | None = None, **which: Unpack[LetterOptions]
    ) -> Iterator[dict[str, Any]]:
        """Those chosen as in LetterFilter that are dead when the first is asked for, the latest death first.

        At most *limit*, where that is said. What is requeued or discarded meanwhile may be missing, and nothing comes
        twice. Raises InvalidInput at once, and what the database does as it goes.
        """
        return self._letters(self._begin(limit, by, which))

    def aexecute(
        self, *, limit: int | None = None, by: str | None = None, **which: Unpack[LetterOptions]
    ) -> AsyncIterator[dict[str, Any]]:
        """Like execute, for ``async for``."""
        return self._aletters(self._begin(limit, by, which))

    def _begin(self, limit: object, by: object, which: LetterOptions) -> "_Page":
        left = math.inf if limit is None else checked_whole_number("limit", limit, low=1)
        return _Page(self.new_ids(1)[0], LetterFilter.of(which), checked_actor(by), left)

    def _letters(self, page: "_Page | None") -> Iterator[dict[str, Any]]:
        while page is not None:
            letters = self.unit_of_work.run(page)
            yield from map(letter_as_json, letters)
            page = page.after(letters)

    async def _aletters(self, page: "_Page | None") -> AsyncIterator[dict[str, Any]]:
        while page is not None:
            letters = await self.unit_of_work.arun(page)
            for letter in letters:
                yield letter_as_json(letter)
            page = page.after(letters)


@dataclass(frozen=True, slots=True)
class _Page:
    """The letters behind ``place``, of the ``left`` ones that are wanted still."""

    action_id: ActionId
    wanted: LetterFilter
    actor: str | None
    left: float
    place: LetterPlace | None = None

    def __call__(self, tx: Transaction) -> list[WorkerTask]:
        if self.place is None:
            action = LetterAction(
                id=self.action_id,
                at=tx.now(),
                kind=LetterActionKind.EXPORT,
                actor=self.actor,
                filter=self.wanted.as_json(),
                total=tx.dead_letters.summary(self.wanted).total,
            )
            tx.dead_letters.record(action)
        letters = list(tx.dead_letters.newest(self.wanted, int(min(PAGE, self.left)), self.place))
        if letters:
            tx.dead_letters.add_up(self.action_id, done=len(letters))
        if self._is_last(letters):
            tx.dead_letters.end(self.action_id, skipped=0)
        return letters

    def after(self, letters: Sequence[WorkerTask]) -> "_Page | None":
        """The next page; None when that of *letters* was the last."""
        if self._is_last(letters):
            return None
        return replace(self, left=self.left - len(letters), place=LetterPlace.of(letters[-1]))

    def _is_last(self, letters: Sequence[WorkerTask]) -> bool:
        return len(letters) < PAGE or self.left <= PAGE


def letter_as_json(letter: WorkerTask) -> dict[str, Any]:
    """*letter* as JSON, moments as text in UTC."""
    names = (field.name for field in dataclasses.fields(letter) if field.name not in _HIDDEN)
    return {name: _plain(getattr(letter, name)) for name in names}


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID() | Enum():
            return str(value)
        case tuple():
            return list(value)
        case [*items] if items and dataclasses.is_dataclass(items[0]):
            return [_plain(item) for item in items]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
