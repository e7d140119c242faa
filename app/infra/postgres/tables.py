"""Every table, in one place that Alembic can read.

``tasks`` holds what is still to be done and is kept small; what ended moves to ``finished`` in the statement that ends
it, onto one of its shelves: that of the days, partitioned by the day of the end, that of what outlives its day, or that
of the dead letters. ``tallies`` says how many are there, so that nobody has to count them.

The schema is written here as ``worker`` and translated to the configured one at execution; nothing relies on a
``search_path``. No foreign keys, triggers or GIN indexes: each would be paid for on every claim and settle.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.tasks.status import FINAL, TaskStatus

SCHEMA = "worker"

metadata = MetaData(schema=SCHEMA)
Moment = DateTime(timezone=True)


def _task_columns() -> list[Column[Any]]:
    """What a task is, wherever it is kept."""
    return [
        Column("id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("queue", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("max_attempts", Integer, nullable=False),
        Column("lease_seq", BigInteger, nullable=False, server_default=text("0")),
        Column("scheduled_at", Moment, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("started_at", Moment),
        Column("timeout", Double),
        Column("worker_id", Text),
        Column("correlation_id", Text),
        # JSON rather than JSONB: it keeps what was given (1e22 stays a float, -0.0 its sign, keys their order) and is
        # not parsed again on the way in and out. NULL stands for no tags and no errors: nothing to store or to read.
        Column("tags", JSON),
        # Of the payload's model. NULL stands for the first, which nearly all are.
        Column("version", SmallInteger),
        Column("payload", JSON, nullable=False),
        Column("error", Text),
        Column("errors", JSONB),
        Column("progress", Double),
        Column("progress_message", Text),
        # What an attempt saved for the next one. NULL for everybody who saves nothing.
        Column("checkpoint", JSON),
        Column("expires_at", Moment),
        # What it comes of, where that is no caller; NULL otherwise.
        Column("origin", JSON),
        # How often it came back from the dead letters. NULL stands for never.
        Column("requeues", SmallInteger),
    ]


class Shelf(IntEnum):
    """Where in ``finished`` a row is kept; stored, so the numbers stay as they are."""

    DAYS = 0
    """With what ended on the same day, until all of that goes together."""
    KEPT = 1
    """Longer than its day is."""
    DEAD = 2
    """Until somebody has looked at it."""


def _ended_columns() -> list[Column[Any]]:
    """What a task is when it has ended."""
    return [
        *_task_columns(),
        Column("finished_at", Moment, nullable=False),
        Column("result", JSON),
        # Why it failed or expired, and under which queue the letter is filed; NULL stands for its own.
        Column("reason", Text),
        Column("letter_queue", Text),
        Column("shelf", SmallInteger, nullable=False, server_default=text("0")),
    ]


def _one_of(statuses: Iterable[TaskStatus]) -> str:
    return f"status IN ({', '.join(repr(str(status)) for status in statuses)})"


tasks = Table(
    "tasks",
    metadata,
    *_task_columns(),
    # When somebody cancelled it while it ran.
    Column("cancel_requested_at", Moment),
    # True: due, and in the claim's index. False: waits for its time. NULL: waits for something else (blocked).
    Column("ready", Boolean),
    # PostgreSQL's own: where the row lies.
    Column("ctid", Text, system=True),
    PrimaryKeyConstraint("id", name="tasks_pkey"),
    CheckConstraint(_one_of(status for status in TaskStatus if not status.is_final), name="tasks_status"),
    # In the claim's own order, one lane a queue, so that a claim reads the first rows of a lane and never sorts.
    # ``~priority`` falls as priority rises, without overflowing. No predicate names the status: a claim then changes no
    # indexed column, and PostgreSQL writes no index entry for it (a heap-only update).
    Index("tasks_ready", "queue", text("(~priority)"), "scheduled_at", "id", postgresql_where=text("ready")),
    Index("tasks_waiting", "scheduled_at", postgresql_where=text("NOT ready")),
    # Of no column that a claim or a settlement changes, for the same reason; nearly always empty.
    Index("tasks_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    Index("tasks_cancelling", "cancel_requested_at", postgresql_where=text("cancel_requested_at IS NOT NULL")),
    # Room on each page for the claimed version of its rows, and vacuum by number of dead rows, not by share of a
    # table that may be a million rows of tomorrow's work.
    postgresql_with={
        "fillfactor": "50",
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "5000",
        "autovacuum_vacuum_cost_delay": "0",
        "autovacuum_analyze_scale_factor": "0.2",
    },
)

finished = Table(
    "finished",
    metadata,
    *_ended_columns(),
    CheckConstraint(_one_of(FINAL), name="finished_status"),
    Index("finished_id", "id"),
    postgresql_partition_by="LIST (shelf)",
)

# The shelves by themselves, for those whom the others do not concern. Partitions are no tables of the metadata.
_shelves = MetaData(schema=SCHEMA)
finished_days = Table("finished_days", _shelves, *_ended_columns())
finished_kept = Table("finished_kept", _shelves, *_ended_columns())
finished_dead = Table("finished_dead", _shelves, *_ended_columns())

# What entered and left each shelf of ``finished``, by the UTC day of its end: each row is a change, and what is there
# is the sum of all. Only appended to by those who settle, so that none waits for another; the upkeep folds it together.
# ``bucket`` is that of a completed task's duration, see domain/tasks/durations.py. No key and no index: it is only
# read as a whole.
tallies = Table(
    "tallies",
    metadata,
    Column("day", Date, nullable=False),
    Column("type", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("bucket", SmallInteger),
    Column("number", BigInteger, nullable=False),
    Column("shelf", SmallInteger, nullable=False, server_default=text("0")),
    Column("ctid", Text, system=True),
    # Folding leaves as many dead rows as were appended since, whatever the size of the table.
    postgresql_with={
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "1000",
        "autovacuum_vacuum_cost_delay": "0",
    },
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("lease", Double, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    # Of each of the types, or empty when all are in their first.
    Column("versions", ARRAY(Integer), nullable=False, server_default=text("'{}'")),
    Column("queues", ARRAY(Text), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("hears_notifications", Boolean),
)

# Who has which unique key: a table of its own, so that tasks without one cost nothing more. Never changed by those who
# claim and settle; what is left behind, the upkeep clears away. Its index compares bytes, which no update of the system
# that PostgreSQL runs on reorders, and no change of a row changes what is indexed (a heap-only update).
uniques = Table(
    "uniques",
    metadata,
    Column("key", Text(collation="C"), nullable=False),
    Column("task_id", Uuid, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("while_status", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("key", name="uniques_pkey"),
    # Room on each page for the versions that those who come second leave, having locked a row.
    postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.05"},
)

# How the upkeep is doing, a row for each of its steps, so that whoever checks knows without asking a worker.
upkeep = Table(
    "upkeep",
    metadata,
    Column("step", Text, primary_key=True),
    Column("succeeded_at", Moment),
    # What was in the way of the last try, if anything was.
    Column("error", Text),
    postgresql_with={"fillfactor": "50"},
)

# What ticks by the clock: some rows, or some thousands. The definition stands in columns that people can read, and its
# fingerprint says who wrote it. ``look_at`` is when a worker has to come, NULL of what does not tick.
schedules = Table(
    "schedules",
    metadata,
    Column("application", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("cron", Text),
    Column("every", Double),
    Column("at", Moment),
    Column("anchor", Moment),
    Column("timezone", Text, nullable=False),
    Column("dst", Text, nullable=False),
    Column("misfire", JSON, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("jitter", Double, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("paused_at", Moment),
    Column("retired_at", Moment),
    Column("next_tick", Moment),
    Column("look_at", Moment),
    Column("looked_at", Moment, nullable=False),
    Column("through", Moment, nullable=False),
    Column("trimmed_to", Moment),
    Column("last_tick", Moment),
    Column("last_fired_at", Moment),
    Column("last_task_id", Uuid),
    Column("repairs", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("application", "key", name="schedules_pkey"),
    Index("schedules_look", "application", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    # Two versions of a row that is changed every second; all are changed in place where there is room.
    postgresql_with={"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "500"},
)

# What became of ticks. The primary key is what a tick is fired once by.
ticks = Table(
    "ticks",
    metadata,
    Column("application", Text, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("tick", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fired_at", Moment, nullable=False),
    Column("task_id", Uuid),
    Column("reason", Text),
    PrimaryKeyConstraint("application", "schedule", "tick", name="ticks_pkey"),
    Index("ticks_waiting", "application", "schedule", "tick", postgresql_where=text("state = 'waiting'")),
)

# What somebody did about dead letters, for those who ask later. A row for each action, whatever number it was about.
dead_letter_actions = Table(
    "dead_letter_actions",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("at", Moment, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text),
    Column("filter", JSON, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("task_id", Uuid),
    Column("ended_at", Moment),
    PrimaryKeyConstraint("id", name="dead_letter_actions_pkey"),
)
