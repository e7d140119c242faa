"""MemoryConnections: nothing lies between a queue in memory and its process."""

from app.domain.connections import ConnectionKind


class MemoryConnections:
    """Implements domain.connections.Connections."""

    def kind(self) -> ConnectionKind:
        return ConnectionKind.DIRECT
