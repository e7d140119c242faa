"""MemorySessions: a queue in memory has no database to give a session of."""

from app.domain.jobs.sessions import NoSessions


class MemorySessions(NoSessions):
    """Implements domain.jobs.sessions.Sessions: every handler that asks hears so."""
