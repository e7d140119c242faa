"""Every table, in one place that Alembic can read.

The schema is written here as ``worker`` and translated to the configured one at execution; nothing relies on a
``search_path``. No foreign keys, triggers or GIN indexes: each would be paid for on every claim and settle.
"""

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.tasks.status import TaskStatus, Transition

SCHEMA = "worker"

metadata = MetaData(schema=SCHEMA)
Moment = DateTime(timezone=True)

_CLAIMABLE = text(f"status = '{Transition.CLAIM.sources[0]}'")
_RUNNING = text(f"status = '{TaskStatus.RUNNING}'")

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
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
    Column("finished_at", Moment),
    Column("timeout", Double),
    Column("worker_id", Text),
    Column("correlation_id", Text),
    Column("tags", ARRAY(Text), nullable=False),
    # JSON rather than JSONB: it keeps what was given (1e22 stays a float, -0.0 its sign, keys their order) and is
    # not parsed again on the way in and out.
    Column("payload", JSON, nullable=False),
    Column("result", JSON),
    Column("error", Text),
    Column("errors", JSONB, nullable=False, server_default=text("'[]'")),
    Column("progress", Double),
    Column("progress_message", Text),
    CheckConstraint(f"status IN ({', '.join(repr(str(status)) for status in TaskStatus)})", name="tasks_status"),
    # In the claim's own order, so that a claim reads its first rows and never sorts.
    Index("tasks_ready", text("priority DESC"), "scheduled_at", "id", postgresql_where=_CLAIMABLE),
    Index("tasks_due", "scheduled_at", postgresql_where=_CLAIMABLE),
    Index("tasks_running", "worker_id", postgresql_where=_RUNNING),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("lease", Double, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("hears_notifications", Boolean),
)
