"""dead-letters: the verbs of the command line about what ended for good."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from app.cli.following import follow, is_served, run_here
from app.cli.printing import as_json, in_columns, moment, print_json, story
from app.cli.queue import Queue
from app.domain.dead_letters.actions import LetterAction, LetterActionKind, LetterBulk
from app.domain.dead_letters.summary import LetterSummary
from app.domain.errors import InvalidInput
from app.domain.moments import duration
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask

_MAX_SHOWN = 60
_PAST = {LetterActionKind.REQUEUE: "requeued", LetterActionKind.DISCARD: "discarded", LetterActionKind.PURGE: "purged"}


def dead_letters(queue: Queue, args: argparse.Namespace) -> int:
    """Returns the exit code."""
    return _VERBS[args.action](queue, args)


def add_dead_letters(
    verb: Callable[[str, str], argparse.ArgumentParser],
    *,
    moment_of: Callable[[str], datetime],
    positive: Callable[[str], int],
) -> None:
    """The arguments, below ``dead-letters``."""
    parser = verb(
        "dead-letters", "What ended for good: list, show, requeue, discard, export, purge, and who did what: actions."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help, description=help, allow_abbrev=False)
        # Said before the action it counts too, and a default here would undo it.
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        made.set_defaults(refuse=made.error)
        return made

    listing = action("list", "The latest deaths first.")
    _choosing(listing, moment_of)
    listing.add_argument("--limit", type=positive, default=50, metavar="N")
    action("show", "Tell the story of a dead letter: its payload, and every error.").add_argument("id", metavar="ID")
    for name, help in (
        ("requeue", "Put dead letters back on their queues, due now, with their whole budget."),
        ("discard", "Remove dead letters for good."),
    ):
        bulk = action(name, help)
        bulk.add_argument("ids", nargs="*", metavar="ID")
        _choosing(bulk, moment_of)
        bulk.add_argument("--all", action="store_true", help="all of them: what must be said where nothing chooses")
        bulk.add_argument("--preview", action="store_true", help="say how many there are of which kind, and do nothing")
        bulk.add_argument("--rate", type=float, metavar="N", help="at most so many letters a second")
        if name == "requeue":
            bulk.add_argument("--force", action="store_true", help="those too that were requeued twice already")
        _doing(bulk)
    export = action("export", "Write dead letters as lines of JSON, the latest deaths first.")
    _choosing(export, moment_of)
    export.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="a file that is not there yet; - for stdout"
    )
    export.add_argument("--limit", type=positive, metavar="N")
    export.add_argument("--by", metavar="NAME", help="who does it, for the record (default: you)")
    purge = action("purge", "Remove the dead letters that are old.")
    purge.add_argument("--older-than", type=_span, required=True, metavar="90d")
    _doing(purge)
    told = action("actions", "What was done about dead letters, and by whom; the newest first.")
    told.add_argument("--limit", type=positive, default=50, metavar="N")


def _choosing(parser: argparse.ArgumentParser, moment_of: Callable[[str], datetime]) -> None:
    def when(text: str) -> datetime:
        try:
            return datetime.now(UTC) - timedelta(seconds=duration(text))
        except InvalidInput:
            return moment_of(text)

    parser.add_argument("--type", metavar="T", help='as in "email:*"')
    parser.add_argument("--queue", metavar="Q", help="the queue that they are filed under")
    parser.add_argument("--reason", choices=[*DeathReason])
    parser.add_argument("--error", metavar="TEXT", help="a part of the last error")
    parser.add_argument("--since", type=when, metavar="ISO|2h", help="died then or later, or not longer ago")
    parser.add_argument("--until", type=when, metavar="ISO|2h", help="died before then, or longer ago")


def _doing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who does it, for the record (default: you)")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--detach", action="store_true", help="do not wait for the task that works through many")
    waiting.add_argument("--here", action="store_true", help="run that task in this process, and need no worker")


def _list(queue: Queue, args: argparse.Namespace) -> int:
    letters = queue.list_dead_letters().execute(limit=args.limit, **_which(args))
    print_json([as_json(letter) for letter in letters]) if args.json else print(_table(letters))
    return 0


def _show(queue: Queue, args: argparse.Namespace) -> int:
    letter = queue.find_task().execute(args.id)
    print_json(as_json(letter)) if args.json else print(story(letter))
    return 0


def _requeue(queue: Queue, args: argparse.Namespace) -> int:
    which = _which(args)
    by, force = _actor(args), args.force
    if len(args.ids) == 1 and not which and not args.preview:
        task = queue.requeue_dead_letter().execute(args.ids[0], force=force, by=by)
        print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: due again")
        return 0
    which = _bulk_of(args, which)
    bulk = queue.requeue_dead_letters().execute(preview=args.preview, rate=args.rate, force=force, by=by, **which)
    return _told(queue, args, bulk)


def _discard(queue: Queue, args: argparse.Namespace) -> int:
    which = _which(args)
    if len(args.ids) == 1 and not which and not args.preview:
        task = queue.discard_dead_letter().execute(args.ids[0], by=_actor(args))
        print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: discarded")
        return 0
    which = _bulk_of(args, which)
    bulk = queue.discard_dead_letters().execute(preview=args.preview, rate=args.rate, by=_actor(args), **which)
    return _told(queue, args, bulk)


def _purge(queue: Queue, args: argparse.Namespace) -> int:
    return _told(queue, args, queue.purge_dead_letters().execute(older_than=args.older_than, by=_actor(args)))


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
    print_json(actions) if args.json else print(_actions_table(actions))
    return 0


def _told(queue: Queue, args: argparse.Namespace, bulk: LetterBulk) -> int:
    action = bulk.action
    if action is None:
        shown = {"preview": True, "total": bulk.summary.total, "skipped": bulk.skipped, "groups": bulk.summary.groups}
        print_json(shown) if args.json else print(_summary(bulk.summary))
        return 0
    if (task_id := action.task_id) is not None and not args.detach:
        if args.here:
            action, task = run_here(queue, action, label=_PAST[action.kind], quiet=args.json)
        elif is_served(queue, task_id):
            action, task = follow(queue, action, label=_PAST[action.kind], quiet=args.json)
        else:
            print(
                f"error: No worker is alive that would take task {task_id}, which is to do this: it waits for"
                " one. Start it with `python -m app worker`, or do it in this process with --here.",
                file=sys.stderr,
            )
            return 1
        if task.status is not TaskStatus.COMPLETED:
            print(f"error: Task {task.id}, which did this, is {task.status}: {task.error}", file=sys.stderr)
    print_json(action) if args.json else print(_sentence(action))
    return 0 if action.ended_at is not None or args.detach else 1


def _sentence(action: LetterAction) -> str:
    if action.ended_at is None:
        return f"{action.total:,} dead letter(s) are being {_PAST[action.kind]} by task {action.task_id}"
    left = f"; {action.skipped:,} left that were requeued twice already (see --force)" if action.skipped else ""
    return f"{action.done:,} of {action.total:,} dead letter(s) {_PAST[action.kind]}{left}"


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


def _span(text: str) -> float:
    try:
        return duration(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _table(letters: list[WorkerTask]) -> str:
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


def _summary(summary: LetterSummary) -> str:
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


def _actions_table(actions: list[LetterAction]) -> str:
    rows = [("AT", "ACTION", "BY", "DONE", "LEFT", "STATE", "TASK", "FILTER")]
    rows += [
        (
            moment(action.at) or "",
            f"{action.kind} (forced)" if action.forced else str(action.kind),
            action.actor or "",
            f"{action.done:,} of {action.total:,}",
            f"{action.skipped:,}",
            "under way" if action.ended_at is None else "done",
            str(action.task_id or ""),
            json.dumps(action.filter, ensure_ascii=False)[:_MAX_SHOWN],
        )
        for action in actions
    ]
    return in_columns(rows)


_VERBS: dict[str, Callable[[Queue, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "requeue": _requeue,
    "discard": _discard,
    "export": _export,
    "purge": _purge,
    "actions": _actions,
}
