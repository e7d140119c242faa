"""Connections: what lies between this process and its database."""

from enum import StrEnum
from typing import Protocol


class ConnectionKind(StrEnum):
    """How a connection leads to a server process."""

    DIRECT = "direct"
    SESSION_POOLER = "session pooler"
    TRANSACTION_POOLER = "transaction pooler"
    UNKNOWN = "unknown"


class Connections(Protocol):
    """The connections of one queue."""

    def kind(self) -> ConnectionKind:
        """Found out by looking at the server processes that two connections meet."""
        ...
