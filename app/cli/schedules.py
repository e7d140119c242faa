"""schedules: the verbs of the command line about what ticks by the clock."""

import argparse
import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.cli.printing import as_json, in_columns, moment, print_json
from app.cli.queue import Queue
from app.domain.schedules.run import ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.usecases.schedules.list import ScheduleReport


def schedules(queue: Queue, args: argparse.Namespace) -> int:
    """Returns the exit code."""
    return _VERBS[args.action](queue, args)


def add_schedules(verb: Callable[[str, str], argparse.ArgumentParser], moment_of: Callable[[str], datetime]) -> None:
    """The arguments, below ``schedules``."""
    parser = verb("schedules", "What ticks by the clock: list, pause, resume, run, backfill, history.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help: str, *, key: bool = True) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help, description=help, allow_abbrev=False)
        # Said before the action it counts too, and a default here would undo it.
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if key:
            made.add_argument("key", metavar="KEY")
        return made

    action("list", "All schedules: the ticks that follow, the last run, and what is wrong.", key=False)
    action("pause", "Let a schedule rest until it is resumed, over restarts too.")
    action("resume", "Let a paused schedule tick again, from now on.")
    action("run", "Enqueue its task at once.")
    action("delete", "Forget a schedule that was made at run time, or is retired.")
    backfill = action("backfill", "Enqueue tasks for past ticks that have none.")
    backfill.add_argument("--from", dest="since", type=moment_of, required=True, metavar="ISO", help="with a time zone")
    backfill.add_argument("--to", dest="until", type=moment_of, required=True, metavar="ISO", help="up to before then")
    backfill.add_argument("--limit", type=int, default=10_000, metavar="N", help="at most so many ticks")
    history = action("history", "What became of its latest ticks.")
    history.add_argument("--limit", type=int, default=20, metavar="N")


def _list(queue: Queue, args: argparse.Namespace) -> int:
    reports = queue.list_schedules().execute()
    if args.json:
        print_json([dataclasses.asdict(one) for one in reports])
        return 0
    rows = [("KEY", "TYPE", "PLAN", "STATE", "NEXT", "LAST", "LAST TASK")]
    rows += [
        (
            one.key,
            one.type,
            one.plan,
            one.state,
            ", ".join(_local(tick, one) for tick in one.next_ticks[:2]),
            "" if one.last_tick is None else _local(one.last_tick, one),
            "" if one.last_task_id is None else f"{one.last_task_id} {one.last_status or 'gone'}",
        )
        for one in reports
    ]
    print(in_columns(rows))
    for one in reports:
        for warning in one.warnings:
            print(f"{one.key}: {warning}")
    return 0


def _pause(queue: Queue, args: argparse.Namespace) -> int:
    return _told(queue.pause_schedule().execute(args.key), args, "paused")


def _resume(queue: Queue, args: argparse.Namespace) -> int:
    schedule = queue.resume_schedule().execute(args.key)
    return _told(schedule, args, f"ticks next at {moment(schedule.next_tick) or 'no time at all'}")


def _run(queue: Queue, args: argparse.Namespace) -> int:
    task = queue.run_schedule_now().execute(args.key)
    print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: enqueued")
    return 0


def _delete(queue: Queue, args: argparse.Namespace) -> int:
    queue.delete_schedule().execute(args.key)
    print_json({"deleted": args.key}) if args.json else print(f"{args.key}: deleted")
    return 0


def _backfill(queue: Queue, args: argparse.Namespace) -> int:
    tasks = queue.backfill_schedule().execute(args.key, args.since, args.until, limit=args.limit)
    print_json([as_json(task) for task in tasks]) if args.json else print(f"{args.key}: {len(tasks)} task(s) enqueued")
    return 0


def _history(queue: Queue, args: argparse.Namespace) -> int:
    runs = queue.get_schedule_history().execute(args.key, limit=args.limit)
    if args.json:
        print_json([dataclasses.asdict(run) | {"lateness": run.lateness} for run in runs])
        return 0
    rows = [("TICK", "STATE", "KIND", "LATE", "TASK", "REASON")]
    rows += [(_tick(run), run.state, run.kind, _late(run), _task(run), run.reason or "") for run in runs]
    print(in_columns(rows))
    return 0


def _told(schedule: Schedule, args: argparse.Namespace, done: str) -> int:
    if args.json:
        print_json(_plain(schedule))
    else:
        print(f"{schedule.key}: {done}")
    return 0


def _plain(schedule: Schedule) -> dict[str, Any]:
    shown = ("application", "key", "source", "type", "payload", "options", "paused_at", "next_tick", "last_tick")
    return {name: getattr(schedule, name) for name in shown} | {"plan": schedule.plan.as_json()}


def _local(tick: datetime, one: ScheduleReport) -> str:
    return f"{one.local(tick):%Y-%m-%d %H:%M:%S %Z}"


def _tick(run: ScheduleRun) -> str:
    return moment(run.tick) or ""


def _late(run: ScheduleRun) -> str:
    return "" if run.lateness is None else f"{run.lateness:.3f} s"


def _task(run: ScheduleRun) -> str:
    return "" if run.task_id is None else f"{run.task_id} {run.task_status or 'gone'}"


_VERBS: dict[str, Callable[[Queue, argparse.Namespace], int]] = {
    "list": _list,
    "pause": _pause,
    "resume": _resume,
    "run": _run,
    "delete": _delete,
    "backfill": _backfill,
    "history": _history,
}
