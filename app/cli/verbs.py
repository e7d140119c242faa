"""What each verb does; each returns the exit code."""

import argparse
from collections.abc import Callable

from app.cli.check import check
from app.cli.dead_letters import dead_letters
from app.cli.printing import as_json, breakdown, counts_as_json, group_as_json, print_json, story, table
from app.cli.queue import Queue
from app.cli.retention import retention
from app.cli.schedules import schedules
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask


def enqueue(queue: Queue, args: argparse.Namespace) -> int:
    task = queue.enqueue_task().execute(
        type=args.type,
        payload=args.payload,
        priority=args.priority,
        scheduled_at=args.at,
        delay=args.delay,
        queue=args.queue,
        ttl=args.ttl,
    )
    return _told(task, args, "enqueued")


def cancel(queue: Queue, args: argparse.Namespace) -> int:
    task = queue.cancel_task().execute(args.id, reason=args.reason)
    return _told(task, args, "being cancelled" if task.status is TaskStatus.RUNNING else "cancelled")


def retry(queue: Queue, args: argparse.Namespace) -> int:
    task = queue.retry_task().execute(args.id, reset_attempts=args.reset_attempts)
    return _told(task, args, "due again")


def show(queue: Queue, args: argparse.Namespace) -> int:
    task = queue.find_task().execute(args.id)
    print_json(as_json(task)) if args.json else print(story(task))
    return 0


def list_(queue: Queue, args: argparse.Namespace) -> int:
    tasks = queue.list_tasks().execute(status=args.status, type=args.type, queue=args.queue, limit=args.limit)
    print_json([as_json(task) for task in tasks]) if args.json else print(table(tasks))
    return 0


def stats(queue: Queue, args: argparse.Namespace) -> int:
    if args.by is not None:
        groups = queue.get_task_breakdown().execute(by=args.by)
        print_json([group_as_json(group) for group in groups]) if args.json else print(breakdown(groups, args.by))
        return 0
    counts = counts_as_json(queue.get_task_stats().execute())
    if args.json:
        print_json(counts)
    else:
        print("\n".join(f"{name:<10}{count:>12,}" for name, count in counts.items()))
    return 0


def cleanup(queue: Queue, args: argparse.Namespace) -> int:
    removed = queue.cleanup_tasks().execute(older_than=args.older_than)
    print_json({"removed": removed}) if args.json else print(f"{removed} finished task(s) removed")
    return 0


def migrate(queue: Queue, args: argparse.Namespace) -> int:
    migrations = queue.migrations()
    before, after = migrations.current(), migrations.upgrade()
    for role in args.producer:
        migrations.allow_producer(role)
    for role in args.operator:
        migrations.allow_operator(role)
    roles = {"producers": args.producer, "operators": args.operator}
    if args.json:
        done = {"before": before, "after": after, "changed": before != after}
        print_json(done | {name: given for name, given in roles.items() if given})
        return 0
    print(f"The schema is at revision {after}" + ("" if before == after else f", it was at {before or 'none'}"))
    for name, given in roles.items():
        if given:
            print(f"{name}: {', '.join(given)}")
    return 0


def _told(task: WorkerTask, args: argparse.Namespace, done: str) -> int:
    print_json(as_json(task)) if args.json else print(f"{task.id} {task.type}: {done}")
    return 0


VERBS: dict[str, Callable[[Queue, argparse.Namespace], int]] = {
    "migrate": migrate,
    "enqueue": enqueue,
    "cancel": cancel,
    "retry": retry,
    "show": show,
    "list": list_,
    "stats": stats,
    "cleanup": cleanup,
    "retention": retention,
    "dead-letters": dead_letters,
    "check": check,
    "schedules": schedules,
}
