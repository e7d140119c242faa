"""The partitions of ``finished_days``, where most of what ended is: one for each UTC day, and one for the rest."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Text, bindparam, func, select, text

from app.infra.postgres.statements import Statements

DAYS = "finished_days"
REST = "finished_rest"
"""Takes what no day does, so that nothing can fail to end for want of a partition."""

PARTITIONS = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
    " WHERE inhparent = CAST(:parent AS regclass) ORDER BY 1"
)
MAY_ALTER = text(
    "SELECT pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE')"
    " FROM pg_class WHERE oid = CAST(:parent AS regclass)"
)
PAGES = text("SELECT pg_relation_size(CAST(:child AS regclass)) / CAST(current_setting('block_size') AS bigint)")
TRY_LOCK = select(func.pg_try_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0)))
LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0)))

_NAME = re.compile(r"finished_(\d{8})")
# Rows only ever come and, much later, go with the whole partition: when vacuum first looks at them it freezes them, and
# it looks when the partition has doubled.
_STORAGE = "autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 1"


def name_of(day: date) -> str:
    return f"finished_{day:%Y%m%d}"


def days_of(statements: Statements) -> list[date]:
    """The days that have a partition, in order."""
    rows = statements.run(PARTITIONS, {"parent": statements.quoted(DAYS)})
    return [_day(found[1]) for row in rows if (found := _NAME.fullmatch(row[0]))]


def may_alter(statements: Statements) -> bool:
    """Whether partitions may be made and dropped by this role."""
    return bool(statements.run(MAY_ALTER, {"parent": statements.quoted(DAYS)})[0][0])


def lies_in_rest(statements: Statements, day: date) -> bool:
    """Whether something that ended on *day* is in the partition for the rest: then the day can have none of its own."""
    rest, (first, end) = statements.quoted(REST), _bounds(day)
    asked = text(f"SELECT EXISTS (SELECT FROM {rest} WHERE finished_at >= :first AND finished_at < :end)")  # noqa: S608
    return bool(statements.run(asked, {"first": first, "end": end})[0][0])


def create(statements: Statements, day: date) -> None:
    """Attached, and not created in place: that would lock out everybody who settles. This locks out those who look
    into the rest, while the rest, which is nearly always empty, is searched for what belongs to *day*."""
    parent, child, (first, end) = statements.quoted(DAYS), statements.quoted(name_of(day)), _bounds(day)
    _change(statements, f"CREATE TABLE {child} (LIKE {parent} INCLUDING ALL EXCLUDING INDEXES) WITH ({_STORAGE})")
    _change(statements, f"ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ('{first}') TO ('{end}')")


def is_empty(statements: Statements, day: date) -> bool:
    """Whether nothing that ended on *day* is in its partition."""
    asked = text(f"SELECT EXISTS (SELECT FROM {statements.quoted(name_of(day))})")  # noqa: S608
    return not statements.run(asked)[0][0]


def drop(statements: Statements, day: date, is_as_expected: Callable[[], bool] | None = None) -> None:
    """Locks all days, for the rest of the transaction.

    Asks whether the day *is as expected* (unless said otherwise: empty) when nobody else can get at it any more.
    Raises PartitionInUse when it is not.
    """
    parent, child = statements.quoted(DAYS), statements.quoted(name_of(day))
    _change(statements, f"ALTER TABLE {parent} DETACH PARTITION {child}")
    if not (is_empty(statements, day) if is_as_expected is None else is_as_expected()):
        raise PartitionInUse(day)
    _change(statements, f"DROP TABLE {child}")


def pages_of(statements: Statements, day: date) -> int:
    """How many pages there are where that lies which ended on *day*: in its partition, or in the one for the rest."""
    child = name_of(day) if day in days_of(statements) else REST
    pages: int = statements.run(PAGES, {"child": statements.quoted(child)})[0][0]
    return pages


def empty(statements: Statements, day: date) -> None:
    """Remove all that ended on *day*. Locks this partition alone, so whoever settles goes on."""
    _change(statements, f"TRUNCATE {statements.quoted(name_of(day))}")


class PartitionInUse(Exception):
    """Something came to a past day just when its partition was to be dropped."""

    def __init__(self, day: date) -> None:
        self.day = day
        super().__init__(f"{name_of(day)} is not what it was")


def _change(statements: Statements, sql: str) -> None:
    statements.change(text(sql.replace(":", "\\:")))


def _day(digits: str) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _bounds(day: date) -> tuple[Any, Any]:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return first, first + timedelta(days=1)
