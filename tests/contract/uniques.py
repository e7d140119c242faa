"""What the tests of uniqueness are about: jobs that are unique by their user, and tasks of them."""

from typing import Any

from app.domain.jobs.unique import Unique
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask
from tests.contract.subject import Queue
from tests.examples import EMAIL, new_task


def by_user(payload: Any) -> Any:
    return payload["user"]


def unique(queue: Queue, type: str = EMAIL, **said: Any) -> None:
    """Make tasks of *type* unique by their user."""
    options = {name: said.pop(name) for name in ("payload", "version") if name in said}
    queue.jobs.define(type, unique=Unique(**{"key": by_user} | said), **options)(lambda payload, context: None)


def sync(user: Any = 1, type: str = EMAIL, **asked: Any) -> NewTask:
    note = asked.pop("note", "")
    return new_task(type, payload={"user": user, "note": note}, **asked)


def is_new(task: WorkerTask) -> bool:
    return not isinstance(task, ExistingTask)
