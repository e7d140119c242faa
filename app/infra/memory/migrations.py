"""MemoryMigrations: the in-memory queue has no schema, and is always in the right one."""

from app.domain.errors import InvalidInput


class MemoryMigrations:
    """Answers like postgres.migrations.Migrations."""

    def upgrade(self) -> str:
        return self.head()

    def current(self) -> str:
        return self.head()

    def head(self) -> str:
        return "in memory"

    def verify(self) -> None:
        return

    def allow_producer(self, role: str) -> None:
        self._refuse_role("producer", role)

    def allow_operator(self, role: str) -> None:
        self._refuse_role("operator", role)

    def _refuse_role(self, field: str, role: str) -> None:
        raise InvalidInput(field, role, "must be a role of PostgreSQL's, and this queue is in memory")
