"""``python -m app …``: parse the arguments, build the container, run the verb."""

import json
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from app.cli.parser import parser
from app.cli.reload import run_reloading
from app.cli.supervised import Supervised
from app.cli.supervisor import NotReloading, supervise
from app.cli.verbs import VERBS
from app.container import TaskQueueContainer
from app.domain.errors import QueueError
from app.infra.settings import Settings
from app.worker.process import run_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 refused or failed; wrong usage raises SystemExit(2), as argparse does."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parser().parse_args(arguments)
    _log_to_stderr(logging.INFO if args.verb == "worker" else logging.WARNING, as_json=args.json)
    try:
        tasks = TaskQueueContainer(settings=_settings(vars(args)))
        try:
            # mypy: the container's attributes are providers, which are called like the methods that Queue names.
            code = _work(tasks, args, arguments) if args.verb == "worker" else VERBS[args.verb](tasks, args)
            sys.stdout.flush()  # a reader that went away is noticed here, not when the interpreter ends
            return code
        finally:
            tasks.close()
    except QueueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, instead of failing once more when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _work(tasks: TaskQueueContainer, args: Namespace, arguments: Sequence[str]) -> int:
    supervised = Supervised.by_environment()
    # What is supervised was started by this very command, and must not start any more of it.
    processes: int | None = None if supervised else tasks.settings().worker_processes
    if args.reload and processes is not None:
        raise NotReloading("--reload is for one worker process: leave WORKER_PROCESSES out")
    if args.reload:
        return run_reloading()
    if processes is not None:
        code, attempts = supervise(processes, arguments, drain=args.drain)
        return code or _told(attempts, args)
    tasks.listeners()
    worker = tasks.worker()
    if supervised is not None:
        supervised.stops(worker)
    attempts = run_process(worker, drain=args.drain, aclose=tasks.aclose)
    if supervised is None:
        return _told(attempts, args)
    supervised.tell(attempts)
    return 0


def _told(attempts: int, args: Namespace) -> int:
    if args.drain:
        print(json.dumps({"attempts": attempts}) if args.json else f"{attempts} attempt(s) run")
    return 0


def _settings(args: dict[str, Any]) -> Settings:
    """The command line beats the environment, which beats ``.env``."""
    if args["verb"] != "worker":
        return Settings()
    given = {
        "worker_concurrency": args["concurrency"],
        "worker_queues": args["queues"],
        "worker_task_types": args["types"],
        "worker_processes": args["processes"],
    }
    return Settings(**{name: value for name, value in given.items() if value is not None})


class _JsonLines(logging.Formatter):
    """One JSON object a line, with what a task's own logger adds."""

    _EXTRA = ("task_id", "task_type", "attempt", "worker_id", "correlation_id")

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in self._EXTRA if getattr(record, name, None) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _log_to_stderr(level: int, *, as_json: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler])
    # What it did is said by the verb; its own lines are about its inner parts.
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
