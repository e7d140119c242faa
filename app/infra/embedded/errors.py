"""The error of the embedded PostgreSQL."""

from app.domain.errors import QueueError


class EmbeddedPostgresUnavailable(QueueError):
    """There can be no embedded server here; ``reason`` says why, the message also what to do."""

    def __init__(self, reason: str, remedy: str = "set DATABASE_URL to use another server") -> None:
        self.reason = reason
        super().__init__(f"The embedded PostgreSQL is not available ({reason}): {remedy}.")
