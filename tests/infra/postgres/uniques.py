"""Unique jobs of an application, and what its queue shows of them."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, text

from app import (
    JobCatalog,
    TaskQueueContainer,
    Unique,
)

PLAIN = "mail:send"
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


class User(BaseModel):
    """Whose data are to be fetched."""

    user_id: int
    note: str = ""


jobs = JobCatalog()


@jobs.define("user:sync", payload=User, unique=Unique(key=lambda user: user.user_id))
async def sync(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define("user:only", payload=User, unique=Unique(key=lambda user: user.user_id, on_conflict="raise"))
async def only(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define("user:latest", payload=User, unique=Unique(key=lambda user: user.user_id, on_conflict="replace"))
async def latest(payload: User, context: Any) -> None:
    """Does nothing."""


@jobs.define(PLAIN)
async def mail(payload: Any, context: Any) -> None:
    """Does nothing."""


def pending(tasks: TaskQueueContainer) -> int:
    return tasks.get_task_stats().execute().pending


def somebody_waits(engine: Engine) -> bool:
    """Whether a connection to this database waits for a lock."""
    with engine.connect() as connection:
        return bool(connection.scalar(WAITING))
