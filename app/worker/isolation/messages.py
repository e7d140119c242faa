"""Messages: what a worker and a process of its handlers tell each other, each framed by its length.

They are pickled, and made of plain data: payloads and results are JSON, errors are described (see raised).
"""

import pickle
import struct
from dataclasses import dataclass
from typing import Any

from app.domain.identifiers import TaskId
from app.domain.jobs.schemas import Schemas
from app.domain.json import JsonText
from app.domain.tasks.task import WorkerTask
from app.worker.isolation.place import Place
from app.worker.isolation.raised import Raised

HEAD = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class SetUp:
    """The first one. ``memory`` is the limit of the process's address space, in bytes."""

    schemas: Schemas
    memory: int | None
    log_level: int


@dataclass(frozen=True, slots=True)
class Run:
    """Run this task. ``payload`` is JSON, of the model's present version; ``max_result`` is in bytes, ``timeout`` in
    seconds from the call of the handler."""

    place: Place
    task: WorkerTask
    payload: Any
    worker_id: str
    max_result: int
    timeout: float | None
    stopping: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The worker is shutting down."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """This task, which runs here, was cancelled."""

    task_id: TaskId
    lease_seq: int


@dataclass(frozen=True, slots=True)
class End:
    """There is nothing more to run: exit."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The job is found, and its handler is called now."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Progress."""

    percent: float
    message: str | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint."""

    checkpoint: JsonText


@dataclass(frozen=True, slots=True)
class Logged:
    """The attributes of a log record."""

    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """How the handler ended: with the text of a JSON result, or an error. ``spent`` asks for a new process after it."""

    result: str | None
    raised: Raised | None
    spent: bool


def framed(message: object) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(len(body)) + body


def unframed(body: bytes) -> object:
    return pickle.loads(body)  # noqa: S301  # from a process that we started, and that runs what we would run
