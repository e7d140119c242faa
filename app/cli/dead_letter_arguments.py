"""The arguments of dead-letters, of each of its verbs."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.domain.errors import InvalidInput
from app.domain.moments import duration
from app.domain.tasks.deaths import DeathReason


def add_dead_letters(
    verb: Callable[[str, str], argparse.ArgumentParser],
    *,
    moment_of: Callable[[str], datetime],
    positive: Callable[[str], int],
) -> None:
    """The arguments, below ``dead-letters``."""
    parser = verb(
        "dead-letters",
        "What ended for good: list, show, requeue, discard, export, purge, resume, and who did what: actions.",
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
    action("resume", "Go on, in this process, with an action that waits: actions --json tells its id.").add_argument(
        "id", metavar="ACTION"
    )
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
    parser.add_argument("--reason", choices=[reason.value for reason in DeathReason])
    parser.add_argument("--error", metavar="TEXT", help="a part of the last error")
    parser.add_argument("--since", type=when, metavar="ISO|2h", help="died then or later, or not longer ago")
    parser.add_argument("--until", type=when, metavar="ISO|2h", help="died before then, or longer ago")


def _doing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preview", action="store_true", help="say how many there are of which kind, and do nothing")
    parser.add_argument("--by", metavar="NAME", help="who does it, for the record (default: you)")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--detach", action="store_true", help="do not wait for the task that works through many")
    waiting.add_argument("--here", action="store_true", help="run that task in this process, and need no worker")


def _span(text: str) -> float:
    try:
        return duration(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error
