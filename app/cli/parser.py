"""The arguments of every verb."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from app.cli.dead_letter_arguments import add_dead_letters
from app.cli.schedules import add_schedules
from app.domain.errors import InvalidInput
from app.domain.moments import duration
from app.domain.tasks.statistics import Grouping


def parser() -> argparse.ArgumentParser:
    """One parser for ``python -m app`` and the installed script."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON (worker: log as JSON lines)")
    description = "A background task queue on PostgreSQL."
    root = argparse.ArgumentParser(prog="python -m app", description=description, allow_abbrev=False)
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, help: str) -> argparse.ArgumentParser:
        # Abbreviated, --reload would get past the code that takes it out of the command which it starts again.
        return verbs.add_parser(name, help=help, description=help, parents=[common], allow_abbrev=False)

    worker = verb("worker", "Run tasks until stopped by SIGTERM or Ctrl-C; twice: without waiting for running ones.")
    worker.add_argument("--concurrency", type=_positive, metavar="N", help="attempts at once")
    worker.add_argument("--queues", metavar="A,B", help="only these queues")
    worker.add_argument("--types", metavar="PATTERNS", help='only these types, as in "email:*,report:*"')
    worker.add_argument("--drain", action="store_true", help="stop when nothing is due any more")
    several = worker.add_mutually_exclusive_group()
    several.add_argument("--processes", type=_positive, metavar="N", help="keep N of them running, as processes")
    several.add_argument("--reload", action="store_true", help="start anew whenever a Python file here changes")

    migrate = verb("migrate", "Bring the database to the schema this version needs.")
    for option, may in (("--producer", "enqueue"), ("--operator", "cancel and retry")):
        help = f"let this role {may} in plain SQL, and nothing else; may be repeated"
        migrate.add_argument(option, action="append", default=[], metavar="ROLE", help=help)

    enqueue = verb("enqueue", "Put a task on its queue.")
    enqueue.add_argument("type", metavar="TYPE")
    enqueue.add_argument(
        "--payload", type=_payload, default={}, metavar="JSON|@FILE|-", help="JSON, a file of it, or - for stdin"
    )
    enqueue.add_argument("--priority", type=int, default=0, metavar="N", help="higher is more urgent")
    when = enqueue.add_mutually_exclusive_group()
    when.add_argument("--delay", type=_typed(duration), metavar="5m", help="run no sooner than in so long")
    when.add_argument("--at", type=_moment, metavar="ISO", help="run no sooner than then; needs a time zone")
    enqueue.add_argument("--queue", default="default", metavar="Q")
    enqueue.add_argument("--ttl", type=_typed(duration), metavar="10m", help="cancel it if not started within so long")

    cancel = verb("cancel", "Take a task off its queue, or have the attempt that runs it stopped.")
    cancel.add_argument("id", metavar="ID")
    cancel.add_argument("--reason", metavar="TEXT", help="kept as the task's error")
    verb("show", "Tell the story of a task.").add_argument("id", metavar="ID")
    retry = verb("retry", "Make a failed or cancelled task due again.")
    retry.add_argument("id", metavar="ID")
    retry.add_argument("--reset-attempts", action="store_true", help="with its whole budget, not one more attempt")

    listing = verb("list", "The newest tasks first.")
    listing.add_argument("--status", metavar="S")
    listing.add_argument("--type", metavar="T", help='as in "email:*"')
    listing.add_argument("--queue", metavar="Q")
    listing.add_argument("--limit", type=_positive, default=50, metavar="N")

    stats = verb("stats", "How many tasks are in each status.")
    stats.add_argument(
        "--by", choices=[by.value for by in Grouping], help="for each of these, with durations (up to 9.1 % off)"
    )
    cleanup = verb("cleanup", "Remove what finished long ago.")
    cleanup.add_argument("--older-than", type=_typed(duration), required=True, metavar="7d")
    verb("retention", "Say what WORKER_RETENTION would have removed now; nothing is.")
    add_schedules(verb, _moment)
    add_dead_letters(verb, moment_of=_moment, positive=_positive)
    verb("check", "Say what is wrong, if anything; exit code 1 then.")
    return root


def _typed(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return convert(text)
        except InvalidInput as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be like 2030-01-31T09:00+01:00, not {text!r}") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"must have a time zone, as in 2030-01-31T09:00+01:00, not {text!r}")
    return moment


def _payload(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"is not JSON: {error}") from error
