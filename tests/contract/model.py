"""What the queue ought to do, told once more in other words and as simply as possible."""

from dataclasses import dataclass, field

LEASE = 60


@dataclass(slots=True, eq=False)
class Row:
    """A task; moments are whole seconds since the beginning, ``end`` is None until it has ended."""

    number: int
    priority: int
    budget: int
    due: int
    state: str = "pending"
    attempts: int = 0
    lease: int = 0
    errors: int = 0
    holder: str | None = None
    end: int | None = None
    percent: int | None = None
    cancelled: bool = False
    """While it ran: it ends so, whatever comes of it."""


@dataclass(slots=True)
class Model:
    """All the tasks by their ids, the workers by the time of their last beat, and the present second."""

    rows: dict[str, Row] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    now: int = 0

    def claim(self, worker: str, limit: int) -> list[str]:
        """The ids that *worker* must get, in order."""
        if worker not in self.seen:
            return []
        due = [id for id, row in self.rows.items() if row.state == "pending" and row.due <= self.now]
        due.sort(key=lambda id: (-self.rows[id].priority, self.rows[id].due, self.rows[id].number))
        for id in due[:limit]:
            row = self.rows[id]
            row.state, row.holder = "running", worker
            row.attempts += 1
            row.lease += 1
        return due[:limit]

    def holds(self, id: str, lease: int) -> bool:
        return id in self.rows and self.rows[id].state == "running" and self.rows[id].lease == lease

    def end(self, id: str, state: str, *, failed: bool) -> None:
        row = self.rows[id]
        row.state, row.end = "cancelled" if row.cancelled else state, self.now
        row.cancelled = False
        row.errors += failed

    def cancel(self, id: str) -> None:
        if self.rows[id].state == "running":
            self.rows[id].cancelled = True
        elif self.rows[id].state == "pending":
            self.end(id, "cancelled", failed=False)

    def put_back(self, id: str, *, failed: bool, due: int | None) -> None:
        row = self.rows[id]
        if row.cancelled:
            self.end(id, "cancelled", failed=failed)
            return
        row.state, row.holder = "pending", None
        row.due = row.due if due is None else due
        if failed:
            row.errors += 1
        else:
            row.attempts -= 1

    def recover(self) -> int:
        """How many tasks come back."""
        self.seen = {worker: at for worker, at in self.seen.items() if at + LEASE >= self.now}
        orphans = [id for id, row in self.rows.items() if row.state == "running" and row.holder not in self.seen]
        for id in orphans:
            self.rows[id].lease += 1
            if self.rows[id].attempts >= self.rows[id].budget:
                self.end(id, "failed", failed=True)
            else:
                self.put_back(id, failed=True, due=self.now)
        return len(orphans)

    def retry(self, id: str, *, reset: bool) -> None:
        row = self.rows[id]
        row.state, row.holder, row.due, row.end = "pending", None, self.now, None
        if reset:
            row.attempts = 0
        elif row.attempts >= row.budget:
            row.budget = row.attempts + 1

    def clean(self, age: int) -> int:
        """How many tasks go."""
        old = [id for id, row in self.rows.items() if row.end is not None and row.end < self.now - age]
        for id in old:
            del self.rows[id]
        return len(old)

    def next_due(self) -> int | None:
        waits = [row.due - self.now for row in self.rows.values() if row.state == "pending"]
        return max(0, min(waits)) if waits else None
