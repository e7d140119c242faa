"""Whose snapshot keeps dead rows alive: sessions, replicas, replication slots, prepared transactions."""

import re
from collections.abc import Sequence

from sqlalchemy import DateTime, TextClause, bindparam, text

MAX_QUERY = 80
"""Characters of a query that are shown: enough to know it again."""

_SESSIONS, _SLOTS, _PREPARED = "sessions", "replication slots", "prepared transactions"
_TIMES = "since when the transactions of other roles are open (pg_read_all_stats may)"

# All of this is everybody's unless an administrator took it away. What is then asked all the same would end the
# transaction, so it is not asked.
MAY_SEE = text(f"""
SELECT '{_SESSIONS}', has_table_privilege('pg_catalog.pg_stat_activity', 'SELECT')
                      AND has_table_privilege('pg_catalog.pg_stat_progress_vacuum', 'SELECT')
UNION ALL SELECT '{_SLOTS}', has_table_privilege('pg_catalog.pg_replication_slots', 'SELECT')
UNION ALL SELECT '{_PREPARED}', has_table_privilege('pg_catalog.pg_prepared_xacts', 'SELECT')
UNION ALL SELECT '{_TIMES}', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
""")

_FROM = {
    # A vacuum does not wait for other vacuums' snapshots. Sessions in other databases do not matter to this one's
    # tables; those of no database (replicas that send hot_standby_feedback) do.
    _SESSIONS: """
SELECT CASE WHEN backend_type = 'walsender' THEN 'replica' ELSE 'session' END,
       coalesce(application_name, ''),
       greatest(age(backend_xid), age(backend_xmin)),
       date_part('epoch', coalesce(:now, statement_timestamp()) - xact_start),
       pid,
       CAST(usename AS text),
       state,
       left(query, 1000),
       date_part('epoch', coalesce(:now, statement_timestamp()) - query_start),
       backend_xid IS NULL
FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_backend_pid()
  AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)
  AND (coalesce(datid, 0) = 0 OR datname = current_database())
  AND leader_pid IS NULL
  AND pid NOT IN (SELECT pid FROM pg_catalog.pg_stat_progress_vacuum)
""",
    # catalog_xmin, what a logical slot holds, is about the system's own tables.
    _SLOTS: """
SELECT 'slot', CAST(slot_name AS text), age(xmin), CAST(NULL AS float8), active_pid, CAST(NULL AS text),
       CASE WHEN active THEN 'active' ELSE 'inactive' END, CAST(NULL AS text), CAST(NULL AS float8), true
FROM pg_catalog.pg_replication_slots
WHERE xmin IS NOT NULL
""",
    _PREPARED: """
SELECT 'prepared', gid, age(transaction), date_part('epoch', coalesce(:now, statement_timestamp()) - prepared),
       CAST(NULL AS integer), CAST(owner AS text), CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS float8), false
FROM pg_catalog.pg_prepared_xacts
WHERE database = current_database()
""",
}


def oldest_of(visible: Sequence[str]) -> TextClause | None:
    """A statement for the oldest snapshot among what may be seen; None when that is nothing.

    While a transaction that has written goes on, every snapshot taken after it is as old as it: of several that are
    equally old the longest open one is the cause.
    """
    parts = [part for what, part in _FROM.items() if what in visible]
    if not parts:
        return None
    statement = f"""
SELECT kind, name, transactions, seconds, pid, role, state, query, query_seconds
FROM ({" UNION ALL ".join(parts)})
     AS holders (kind, name, transactions, seconds, pid, role, state, query, query_seconds, only_reads)
ORDER BY transactions DESC, seconds DESC NULLS LAST, only_reads, pid
LIMIT 1
"""  # noqa: S608  (our own words)
    return text(statement).bindparams(bindparam("now", type_=DateTime(timezone=True)))


def beginning_of(query: str | None) -> str | None:
    """The words of *query* before its first quoted value, which may be a secret; at most 80 characters of them."""
    if not query or query == "<insufficient privilege>":
        return None
    words = " ".join(re.split(r"'|\$\w*\$", query, maxsplit=1)[0].split())
    return words if len(words) <= MAX_QUERY else words[:MAX_QUERY] + "…"
