"""dead-letters: the verbs of the command line about what ended for good."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from app.cli.dead_letter_tables import OPEN, PAST, action_as_json, actions_table, letters_table, sentence, summary_table
from app.cli.following import follow, is_served, run_here
from app.cli.printing import as_json, print_json, story
from app.cli.queue import Queue
from app.domain.dead_letters.actions import LetterAction, LetterActionState, LetterBulk
from app.domain.dead_letters.errors import NotADeadLetter
from app.domain.dead_letters.repository import MOST_REQUEUES
from app.domain.identifiers import TaskId, checked_task_id
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.find import MAX_LISTED


def dead_letters(queue: Queue, args: argparse.Namespace) -> int:
    """Returns the exit code."""
    return _VERBS[args.action](queue, args)


def _list(queue: Queue, args: argparse.Namespace) -> int:
    letters = queue.list_dead_letters().execute(limit=args.limit, **_which(args))
    print_json([as_json(letter) for letter in letters]) if args.json else print(letters_table(letters))
    return 0


def _show(queue: Queue, args: argparse.Namespace) -> int:
    letter = queue.find_task().execute(args.id)
    if not letter.is_dead_letter:
        raise NotADeadLetter(letter.id, letter.status)
    print_json(as_json(letter)) if args.json else print(story(letter))
    return 0


def _requeue(queue: Queue, args: argparse.Namespace) -> int:
    which = _which(args)
    by, force = _actor(args), args.force
    args.ids = _distinct(args.ids)
    if len(args.ids) == 1 and not which and not args.preview:
        task = queue.requeue_dead_letter().execute(args.ids[0], force=force, by=by)
        print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: due again")
        return 0
    which = _bulk_of(args, which)
    asked = _Asked(queue, args, which)
    bulk = queue.requeue_dead_letters().execute(rate=args.rate, force=force, by=by, **_how(args), **which)
    return max(_told(queue, args, bulk), asked.told())


def _discard(queue: Queue, args: argparse.Namespace) -> int:
    which = _which(args)
    args.ids = _distinct(args.ids)
    if len(args.ids) == 1 and not which and not args.preview:
        task = queue.discard_dead_letter().execute(args.ids[0], by=_actor(args))
        print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: discarded")
        return 0
    which = _bulk_of(args, which)
    asked = _Asked(queue, args, which)
    bulk = queue.discard_dead_letters().execute(rate=args.rate, by=_actor(args), **_how(args), **which)
    return max(_told(queue, args, bulk), asked.told())


def _purge(queue: Queue, args: argparse.Namespace) -> int:
    bulk = queue.purge_dead_letters().execute(older_than=args.older_than, by=_actor(args), **_how(args))
    return _told(queue, args, bulk)


def _export(queue: Queue, args: argparse.Namespace) -> int:
    letters = queue.export_dead_letters().execute(limit=args.limit, by=_actor(args), **_which(args))
    number = 0
    with ExitStack() as opened:
        output: TextIO = sys.stdout
        if args.output != "-":
            try:
                output = opened.enter_context(Path(args.output).open("x", encoding="utf-8"))
            except OSError as error:
                print(f"error: {args.output} cannot be written: {error.strerror}", file=sys.stderr)
                return 1
        for letter in letters:
            output.write(json.dumps(letter, ensure_ascii=False) + "\n")
            number += 1
    if args.output != "-":
        done = {"exported": number, "file": args.output}
        print_json(done) if args.json else print(f"{number:,} dead letter(s) exported to {args.output}")
    return 0


def _actions(queue: Queue, args: argparse.Namespace) -> int:
    actions = queue.list_dead_letter_actions().execute(limit=args.limit)
    print_json([action_as_json(action) for action in actions]) if args.json else print(actions_table(actions))
    return 0


def _told(queue: Queue, args: argparse.Namespace, bulk: LetterBulk) -> int:
    action = bulk.action
    if action is None:
        shown = {"preview": True, "total": bulk.summary.total, "skipped": bulk.skipped, "groups": bulk.summary.groups}
        print_json(shown) if args.json else print(summary_table(bulk.summary))
        return 0
    if action.task_id is not None and args.detach:
        if not is_served(queue, action.task_id):
            print(f"No worker is alive that would take task {action.task_id}: it waits for one", file=sys.stderr)
    elif action.task_id is not None:
        do = run_here if args.here else follow
        action = do(queue, action, label=PAST[action.kind], quiet=args.json)
    return _ended(queue, args, action)


def _resume(queue: Queue, args: argparse.Namespace) -> int:
    action = queue.find_dead_letter_action().execute(checked_task_id(args.id))
    if action.state in OPEN and action.task_id is not None:
        action = run_here(queue, action, label=PAST[action.kind], quiet=args.json)
    return _ended(queue, args, action)


def _ended(queue: Queue, args: argparse.Namespace, action: LetterAction) -> int:
    detached = action.state in OPEN and getattr(args, "detach", False)
    if action.state is not LetterActionState.DONE and not detached:
        print(f"error: {_unfinished(queue, action)}", file=sys.stderr)
    print_json(action_as_json(action)) if args.json else print(sentence(action))
    return 0 if action.state is LetterActionState.DONE or detached else 1


def _unfinished(queue: Queue, action: LetterAction) -> str:
    try:
        error = queue.find_task().execute(action.task_id).error
    except TaskNotFound:
        error = None
    return f"Task {action.task_id}, which was to do this, is {action.state}" + (f": {error}" if error else "")


class _Asked:
    """The IDs that were asked for by name: what was not done about one of them is no success."""

    def __init__(self, queue: Queue, args: argparse.Namespace, which: dict[str, Any]) -> None:
        self._queue = queue
        self._which = which
        self._is_preview = args.preview
        self._loops = args.action == "requeue" and not args.force
        there = self._there() if args.ids else {}
        self._unknown = [id for id in args.ids if id not in there]

    def _there(self) -> dict[TaskId, WorkerTask]:
        letters = self._queue.list_dead_letters().execute(limit=MAX_LISTED, **self._which)
        return {letter.id: letter for letter in letters}

    def told(self) -> int:
        """The exit code, once it is said on stderr which were not done."""
        looping = []
        if "ids" in self._which and self._loops and not self._is_preview:
            looping = [id for id, letter in self._there().items() if letter.requeues >= MOST_REQUEUES]
        for what, ids in (
            ("no dead letter, or none that fits", self._unknown),
            ("requeued twice already, left (see --force)", looping),
        ):
            if ids:
                print(f"error: {what}: {', '.join(map(str, ids))}", file=sys.stderr)
        return 1 if self._unknown or looping else 0


def _distinct(ids: list[str]) -> list[TaskId]:
    return list(dict.fromkeys(map(checked_task_id, ids)))


def _which(args: argparse.Namespace) -> dict[str, Any]:
    said = {
        "type": args.type,
        "queue": args.queue,
        "reason": args.reason,
        "error": args.error,
        "died_after": args.since,
        "died_before": args.until,
    }
    return {name: value for name, value in said.items() if value is not None}


def _how(args: argparse.Namespace) -> dict[str, Any]:
    # What reports failure must have done nothing: nobody would wait for a task that nobody takes.
    return {"preview": args.preview, "only_if_served": not (args.here or args.detach)}


def _bulk_of(args: argparse.Namespace, which: dict[str, Any]) -> dict[str, Any]:
    if args.ids:
        return which | {"ids": args.ids}
    if not which and not args.all:
        args.refuse("which ones? Say IDs, or what they have in common (--type, --reason …), or --all")
    return which


def _actor(args: argparse.Namespace) -> str | None:
    if args.by is not None:
        return str(args.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # nobody, in a container that knows no users
        return None


_VERBS: dict[str, Callable[[Queue, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "requeue": _requeue,
    "discard": _discard,
    "export": _export,
    "purge": _purge,
    "resume": _resume,
    "actions": _actions,
}
