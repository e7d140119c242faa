"""check: every thing that is wrong with the queue, a sentence each, and the facts below."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from app.cli.facts import facts_table
from app.cli.printing import print_json
from app.cli.queue import Queue
from app.domain.errors import DatabaseUnavailable, QueueError, SchemaMismatch
from app.usecases.check import QueueReport


def check(queue: Queue, args: argparse.Namespace) -> int:
    """Exit code 0 when all is well, 1 otherwise."""
    facts: dict[str, Any] = {}
    problems = _problems(queue, facts)
    if args.json:
        print_json({"ok": not problems, "problems": problems} | facts)
    else:
        print("\n".join(problems) if problems else "All is well.")
        if len(facts) > 1:
            print(f"\n{facts_table(facts)}")
    return 1 if problems else 0


def _problems(queue: Queue, facts: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    try:
        facts["schema"] = queue.migrations().current()
        queue.migrations().verify()
    except (DatabaseUnavailable, SchemaMismatch) as error:
        # Nothing further can be asked.
        return [str(error)]
    facts["connection"] = _attempted(queue.connections().kind, problems)
    hears = _attempted(queue.notifications().probe, problems)
    facts["notifications"] = hears
    if hears is False:
        problems.append(
            "Notifications do not arrive over this connection (a transaction pooler in between?): workers poll."
        )
    report: QueueReport | None = _attempted(queue.check_queue().execute, problems)
    if report is not None:
        facts |= {
            "stats": report.stats,
            "workers": report.workers,
            "unknown_types": report.unknown_types,
            "newer_versions": report.newer_versions,
            "waiting_queues": report.waiting_queues,
            "snapshots": report.snapshots,
            "dead_rows": report.dead_rows and asdict(report.dead_rows) | {"share": report.dead_rows.share},
            "upkeep": report.upkeep,
            "clock": report.clock,
            "notes": report.notes,
        }
        problems += report.problems
    for schedule in _attempted(queue.list_schedules().execute, problems) or ():
        if schedule.is_overdue:
            problems.append(f"Schedule {schedule.key!r} is {schedule.warnings[0]}.")
    return problems


def _attempted(ask: Callable[[], Any], problems: list[str]) -> Any:
    try:
        return ask()
    except QueueError as error:
        problems.append(str(error))
    except Exception as error:
        problems.append(f"Could not be asked ({type(error).__name__}): {error}")
    return None
