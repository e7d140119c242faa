"""Workers: which processes are alive, each one row and one lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.identifiers import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNode:
    """One life of one worker process.

    ``id`` is new for every life; ``name`` is for people and may be shared. ``lease`` is the seconds of silence after
    which others may take its tasks. ``types`` are those it has handlers for and may claim, up to these
    ``versions`` of their payloads: one for each, or none when it knows the first of each alone.
    """

    id: str
    name: str
    lease: float
    concurrency: int
    types: tuple[str, ...]
    versions: tuple[int, ...] = ()
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWorker:
    """A registered worker as others see it; ``is_late`` once its lease ran out and nobody has buried it yet."""

    node: WorkerNode
    started_at: datetime
    last_seen_at: datetime
    is_late: bool
    hears_notifications: bool | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a beat brings back: whether this life goes on, and which tasks that it runs were cancelled meanwhile."""

    is_alive: bool
    cancelled: tuple[TaskId, ...] = ()


class WorkerRegistry(Protocol):
    """Kept in PostgreSQL or in memory, under one contract suite."""

    def register(self, node: WorkerNode) -> None:
        """Announce a new life; its lease starts now."""
        ...

    def beat(self, worker_id: str, *, hears_notifications: bool | None) -> Pulse:
        """Renew the lease. Not alive: this life was buried, and its tasks are others' now."""
        ...

    def remove(self, worker_id: str) -> None:
        """Leave in peace; nothing happens when already gone."""
        ...

    def bury_silent(self) -> list[str]:
        """Remove every worker whose lease has run out; returns their ids."""
        ...

    def all(self) -> Sequence[LiveWorker]:
        """Every registered worker, longest alive first."""
        ...
