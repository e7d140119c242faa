"""MemoryDeadLetters: the dead letters among the tasks in memory, and the record of what was done about them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from app.domain.dead_letters.actions import ActionId, LetterAction
from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import MOST_REQUEUES, LetterPlace, Moved
from app.domain.dead_letters.summary import LetterGroup, LetterSummary
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.task import WorkerTask
from app.infra.memory.store import Draft
from app.infra.memory.tasks import handed_out


class MemoryDeadLetters:
    """Implements DeadLetters."""

    def __init__(self, draft: Draft, now: Callable[[], datetime]) -> None:
        self._draft = draft
        self._now = now

    def newest(self, wanted: LetterFilter, limit: int, after: LetterPlace | None) -> Sequence[WorkerTask]:
        letters = reversed(self._letters(wanted))
        behind = [letter for letter in letters if after is None or LetterPlace.of(letter) < after]
        return [handed_out(letter) for letter in behind[:limit]]

    def summary(self, wanted: LetterFilter) -> LetterSummary:
        kinds: defaultdict[tuple[str, DeathReason], list[WorkerTask]] = defaultdict(list)
        for letter in self._letters(wanted):
            kinds[letter.type, cast(DeathReason, letter.reason)].append(letter)
        return LetterSummary(groups=tuple(_group(*kind, kinds[kind]) for kind in sorted(kinds)))

    def requeue(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None, force: bool) -> Moved:
        taken = self._taken(wanted, limit, after, loops=force)
        for letter in taken:
            task = letter.snapshot()
            task.requeue(now=self._now())
            self._draft.tasks.put(task.id, task)
        return _moved(taken)

    def discard(self, wanted: LetterFilter, limit: int, *, after: LetterPlace | None) -> Moved:
        taken = self._taken(wanted, limit, after, loops=True)
        for letter in taken:
            self._draft.tasks.put(letter.id, None)
        return _moved(taken)

    def record(self, action: LetterAction) -> None:
        self._draft.letter_actions.put(action.id, action)

    def add_up(self, action_id: ActionId, *, done: int) -> LetterAction | None:
        action = self.find_action(action_id)
        return None if action is None else self._put(replace(action, done=action.done + done))

    def end(self, action_id: ActionId, *, skipped: int) -> LetterAction | None:
        action = self.find_action(action_id)
        return None if action is None else self._put(replace(action, skipped=skipped, ended_at=self._now()))

    def actions(self, limit: int) -> Sequence[LetterAction]:
        newest = sorted(self._draft.letter_actions.values(), key=lambda action: action.id, reverse=True)
        return [self._as_it_stands(action) for action in newest[:limit]]

    def find_action(self, action_id: ActionId) -> LetterAction | None:
        action = self._draft.letter_actions.get(action_id)
        return None if action is None else self._as_it_stands(action)

    def _as_it_stands(self, action: LetterAction) -> LetterAction:
        task = None if action.task_id is None else self._draft.tasks.get(action.task_id)
        return replace(action, task_status=None if task is None else task.status)

    def _put(self, action: LetterAction) -> LetterAction:
        self._draft.letter_actions.put(action.id, action)
        return action

    def _letters(self, wanted: LetterFilter) -> list[WorkerTask]:
        """The earliest death first."""
        return sorted((task for task in self._draft.tasks.values() if wanted.fits(task)), key=LetterPlace.of)

    def _taken(self, wanted: LetterFilter, limit: int, after: LetterPlace | None, *, loops: bool) -> list[WorkerTask]:
        letters = (
            letter
            for letter in self._letters(wanted)
            if (loops or letter.requeues < MOST_REQUEUES) and (after is None or LetterPlace.of(letter) > after)
        )
        return list(letters)[:limit]


def _group(type: str, reason: DeathReason, letters: Sequence[WorkerTask]) -> LetterGroup:
    died = [LetterPlace.of(letter).died_at for letter in letters]
    return LetterGroup(
        type=type,
        reason=reason,
        number=len(letters),
        oldest=min(died),
        newest=max(died),
        looping=sum(letter.requeues >= MOST_REQUEUES for letter in letters),
    )


def _moved(letters: Sequence[WorkerTask]) -> Moved:
    last = LetterPlace.of(letters[-1]) if letters else None
    return Moved([letter.id for letter in letters], frozenset(letter.queue for letter in letters), last)
