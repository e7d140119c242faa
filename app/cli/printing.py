"""How tasks look: as JSON for programs, as text for people."""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from app.domain.tasks.statistics import GroupStats, TaskStats
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask

_HIDDEN = ("lease_seq",)
_MAX_SHOWN = 2_000


def print_json(value: Any) -> None:
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def as_json(task: WorkerTask) -> dict[str, Any]:
    """*task* under the names of WorkerTask."""
    fields = (field.name for field in dataclasses.fields(task) if field.name not in _HIDDEN)
    return {name: getattr(task, name) for name in fields}


def counts_as_json(stats: TaskStats) -> dict[str, int]:
    return dataclasses.asdict(stats) | {"total": stats.total}


def group_as_json(group: GroupStats) -> dict[str, Any]:
    """The name, the flat counts, and the durations in seconds."""
    return {"name": group.name} | counts_as_json(group.stats) | {"p50": group.p50, "p95": group.p95}


def story(task: WorkerTask) -> str:
    """What has happened to *task* so far, line by line."""
    lines = [f"{task.type}  {task.id}", f"  {_state(task)}"]
    facts = [
        ("queue", f"{task.queue}, priority {task.priority}"),
        ("attempts", f"{task.attempts} of {task.max_attempts}"),
        ("created", moment(task.created_at)),
        ("scheduled", moment(task.scheduled_at) if task.scheduled_at != task.created_at else None),
        ("expires", moment(task.expires_at)),
        ("started", moment(task.started_at)),
        ("finished", moment(task.finished_at)),
        ("reason", None if task.reason is None else _reason(task)),
        ("requeued", f"{task.requeues} times" if task.requeues else None),
        ("origin", None if task.origin is None else _short(task.origin)),
        ("worker", task.worker_id),
        ("correlation", task.correlation_id),
        ("tags", ", ".join(task.tags)),
        ("progress", None if task.progress is None else f"{task.progress:g} % {task.progress_message or ''}".rstrip()),
        ("version", str(task.version) if task.version > 1 else None),
        ("payload", _short(task.payload)),
        ("checkpoint", None if task.checkpoint is None else _short(task.checkpoint)),
        ("result", None if task.status is not TaskStatus.COMPLETED else _short(task.result)),
        ("error", task.error),
    ]
    lines += [f"  {name:<12}{value}" for name, value in facts if value]
    before = 0
    for error in task.errors:
        if error.attempt <= before:  # with its attempts counted anew, which else would not be told apart
            lines.append("  then put back on its queue:")
        before = error.attempt
        lines.append(f"  attempt {error.attempt} failed at {moment(error.at)}: {error.type}: {error.message}")
        lines += [f"      {line}" for line in error.traceback.splitlines()]
    return "\n".join(lines)


def table(tasks: Sequence[WorkerTask]) -> str:
    rows = [("ID", "STATUS", "TYPE", "QUEUE", "PRIORITY", "ATTEMPTS", "CREATED", "ERROR")]
    rows += [
        (
            str(task.id),
            str(task.status),
            task.type,
            task.queue,
            str(task.priority),
            f"{task.attempts}/{task.max_attempts}",
            moment(task.created_at) or "",
            (task.error or "").partition("\n")[0][:60],
        )
        for task in tasks
    ]
    return in_columns(rows)


def breakdown(groups: Sequence[GroupStats], by: str) -> str:
    rows = [(by.upper(), *(name.upper() for name in counts_as_json(TaskStats())), "P50", "P95")]
    rows += [
        (
            group.name,
            *(f"{count:,}" for count in counts_as_json(group.stats).values()),
            *("" if seconds is None else f"{seconds:.3g} s" for seconds in (group.p50, group.p95)),
        )
        for group in groups
    ]
    return in_columns(rows)


def in_columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _state(task: WorkerTask) -> str:
    if task.status is TaskStatus.PENDING and task.scheduled_at > datetime.now(UTC):
        return f"{task.status} until {moment(task.scheduled_at)}"
    if task.cancel_requested_at is not None:
        return f"{task.status}, being cancelled since {moment(task.cancel_requested_at)}"
    if task.duration is not None and task.status.is_final:
        return f"{task.status} after {task.duration:.3f} s"
    return str(task.status)


def _reason(task: WorkerTask) -> str:
    if not task.is_dead_letter:
        return str(task.reason)
    return f"{task.reason}; a dead letter" + (f", filed under {task.letter_queue}" if task.letter_queue else "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}… ({len(text)} characters)"


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case UUID() | Enum():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"cannot print {type(value).__name__} as JSON")
