"""What went wrong in the database, in this package's own errors."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import DatabaseUnavailable, QueueError, SchemaMismatch

_NO_SUCH_THING = ("42P01", "3F000", "42703")
"""SQLSTATE of undefined table, schema and column (PostgreSQL, appendix A)."""

_FORBIDDEN = ("42501", "25006")
"""SQLSTATE of a privilege that is missing, and of a write where only reading is possible: a replica, say."""

_IN_THE_WAY = ("55P03", "42501", "23514", "42P07", "42P01", "25P01")

_OUTAGE = ("08", "28", "3D", "40", "53", "55", "57", "58")
"""SQLSTATE classes that psycopg counts as operational errors, and SQLAlchemy does not for asyncpg."""


def translated(error: Exception, *, connecting: bool = False, committing: bool = False) -> QueueError | None:
    """The error of ours that *error* of SQLAlchemy's amounts to, or None."""
    if connecting and isinstance(error, OSError):  # asyncpg lets them through
        return DatabaseUnavailable(str(error) or type(error).__name__)
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(f"every connection of the pool is in use: {error}")
    return _told_by_the_database(error, connecting, committing) if isinstance(error, DBAPIError) else None


def _told_by_the_database(error: DBAPIError, connecting: bool, committing: bool) -> QueueError | None:
    if isinstance(error, ProgrammingError) and _sqlstate(error) in _NO_SUCH_THING:
        return SchemaMismatch(
            "The database lacks the tables of the task queue, or has them in another version"
            f" ({_first_line(error)}): run `python -m app migrate`."
        )
    if _sqlstate(error) in _FORBIDDEN:
        return QueueError(f"The database does not allow this: {_first_line(error)}")
    outage = isinstance(error, OperationalError | InterfaceError) or (_sqlstate(error) or "").startswith(_OUTAGE)
    if outage or connecting or error.connection_invalidated:
        # A commit that was answered, with an error, has not happened.
        return DatabaseUnavailable(_first_line(error), outcome_unknown=committing and error.connection_invalidated)
    return None


def forbidden(error: DBAPIError) -> str | None:
    """What the database said, in a line, when it refused *error*'s statement for want of a right; None otherwise."""
    return _first_line(error) if _sqlstate(error) == _FORBIDDEN[0] else None


def is_broken_connection(error: Exception) -> bool:
    """Whether the connection itself is gone, as after a restart of the server, so that a new one may do better."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_conflict(error: Exception) -> bool:
    """Whether another transaction stood in the way: a deadlock, a serialization failure, a lock not to be had."""
    return isinstance(error, DBAPIError) and (_sqlstate(error) or "").startswith(("40", "55P03"))


def is_lock_timeout(error: Exception) -> bool:
    """Whether a lock was waited for longer than ``lock_timeout`` allows."""
    return isinstance(error, DBAPIError) and _sqlstate(error) == "55P03"


def is_in_the_way(error: Exception) -> bool:
    """Whether a change of tables was refused for now, and can be left for later, or done in a slower way.

    A lock not to be had in time (55P03), a missing right (42501), rows where there should be none (23514), a table that
    somebody else has just made or dropped (42P07, 42P01), a savepoint asked for in autocommit (25P01).
    """
    return isinstance(error, DBAPIError) and _sqlstate(error) in _IN_THE_WAY


def _sqlstate(error: DBAPIError) -> str | None:
    # psycopg and asyncpg say sqlstate, psycopg2 says pgcode.
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return " ".join(line.strip() for line in lines[:2]) if lines else type(error.orig).__name__
