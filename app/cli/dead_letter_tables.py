"""How dead letters, and what was done about them, look to people."""

import dataclasses
import json
from typing import Any

from app.cli.printing import in_columns, moment
from app.domain.dead_letters.actions import LetterAction, LetterActionKind, LetterActionState
from app.domain.dead_letters.summary import LetterSummary
from app.domain.tasks.task import WorkerTask

_MAX_SHOWN = 60
PAST = {
    LetterActionKind.REQUEUE: "requeued",
    LetterActionKind.DISCARD: "discarded",
    LetterActionKind.PURGE: "purged",
    LetterActionKind.EXPORT: "exported",
}

OPEN = (LetterActionState.WAITING, LetterActionState.UNDER_WAY)
"""The states of an action that somebody goes on with, or will."""


def action_as_json(action: LetterAction) -> dict[str, Any]:
    """*action* under the names of LetterAction, with its state."""
    fields = {field.name: getattr(action, field.name) for field in dataclasses.fields(action)}
    return fields | {"state": action.state}


def letters_table(letters: list[WorkerTask]) -> str:
    rows = [("ID", "TYPE", "FILED UNDER", "REASON", "DIED", "ATTEMPTS", "REQUEUES", "ERROR")]
    rows += [
        (
            str(letter.id),
            letter.type,
            letter.letter_queue or letter.queue,
            str(letter.reason or ""),
            moment(letter.finished_at) or "",
            f"{letter.attempts}/{letter.max_attempts}",
            str(letter.requeues),
            (letter.error or "").partition("\n")[0][:_MAX_SHOWN],
        )
        for letter in letters
    ]
    return in_columns(rows)


def summary_table(summary: LetterSummary) -> str:
    rows = [("TYPE", "REASON", "NUMBER", "OLDEST", "NEWEST", "REQUEUED TWICE")]
    rows += [
        (
            group.type,
            str(group.reason),
            f"{group.number:,}",
            moment(group.oldest) or "",
            moment(group.newest) or "",
            f"{group.looping:,}",
        )
        for group in summary.groups
    ]
    return f"{in_columns(rows)}\n{summary.total:,} dead letter(s); nothing was changed"


def actions_table(actions: list[LetterAction]) -> str:
    rows = [("AT", "ACTION", "BY", "DONE", "LEFT", "STATE", "ENDED", "TASK", "FILTER")]
    rows += [
        (
            moment(action.at) or "",
            f"{action.kind} (forced)" if action.forced else str(action.kind),
            action.actor or "",
            f"{action.done:,} of {action.total:,}",
            f"{action.skipped:,}",
            str(action.state),
            moment(action.ended_at) or "",
            str(action.task_id or ""),
            json.dumps(action.filter, ensure_ascii=False)[:_MAX_SHOWN],
        )
        for action in actions
    ]
    return in_columns(rows)


def sentence(action: LetterAction) -> str:
    if action.state in OPEN:
        return f"{action.total:,} dead letter(s) are being {PAST[action.kind]} by task {action.task_id}"
    left = f"; {action.skipped:,} left that were requeued twice already (see --force)" if action.skipped else ""
    return f"{action.done:,} of {action.total:,} dead letter(s) {PAST[action.kind]}{left}"
