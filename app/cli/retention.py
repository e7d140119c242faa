"""retention: what the rules would have removed now, by day and kind, and what of these days would stay."""

import argparse
from collections.abc import Sequence

from app.cli.printing import in_columns, print_json
from app.cli.queue import Queue
from app.domain.clearing import Clearance, Place, Way
from app.domain.retention_rules import RetentionRules

_WAYS = {
    Way.DROP: "drop the day",
    Way.MOVE: "move what stays, drop the day",
    Way.DELETE: "delete",
}
_PLACES = {Place.DAY: "", Place.REST: " (no room of its own)", Place.KEPT: " (kept longer)"}


def retention(queue: Queue, args: argparse.Namespace) -> int:
    """Exit code 0: nothing is removed, and nothing need be."""
    rules = queue.settings().worker_retention
    clearances = queue.preview_retention().execute()
    if args.json:
        print_json({"rules": _rules(rules), "days": [_as_json(one) for one in clearances]})
    elif not rules:
        print("WORKER_RETENTION is not set: what has ended stays.")
    elif not clearances:
        print("Nothing is old enough to go.")
    else:
        print(_table(clearances))
        print(
            f"\n{sum(one.goes for one in clearances):,} would go, of days on which {_staying(clearances):,} more stay."
        )
    return 0


def _rules(rules: RetentionRules) -> list[dict[str, object]]:
    return [{"rule": rule.selector, "age": rule.age} for rule in rules.rules]


def _as_json(clearance: Clearance) -> dict[str, object]:
    held = clearance.held
    kinds = [
        {
            "status": kind.status,
            "type": kind.type,
            "queue": kind.queue,
            "number": number,
            "goes": kind in clearance.going,
        }
        for kind, number in sorted(held.numbers.items())
    ]
    return {
        "day": held.day.isoformat(),
        "place": held.place,
        "way": clearance.way,
        "goes": clearance.goes,
        "stays": clearance.stays,
        "kinds": kinds,
    }


def _table(clearances: Sequence[Clearance]) -> str:
    rows = [("DAY", "STATUS", "TYPE", "QUEUE", "NUMBER", "", "HOW")]
    for clearance in clearances:
        held = clearance.held
        for kind, number in sorted(held.numbers.items()):
            goes = kind in clearance.going
            how = _WAYS[clearance.way] if goes else "move" if clearance.way is Way.MOVE else ""
            day = f"{held.day}{_PLACES[held.place]}"
            rows.append((day, kind.status, kind.type, kind.queue, f"{number:,}", "goes" if goes else "stays", how))
    return in_columns(rows)


def _staying(clearances: Sequence[Clearance]) -> int:
    return sum(one.stays for one in clearances)
