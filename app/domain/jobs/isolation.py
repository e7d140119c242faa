"""Isolation: what a handler must be to run in a process of its own, and how such a process fails its task."""

from collections.abc import Callable, Mapping
from typing import Any

from app.domain.errors import QueueError
from app.domain.jobs.errors import InvalidJob


class ProcessDied(QueueError):
    """The process that ran the handler ended before the handler did: killed, crashed, or by ``os._exit``.

    ``exit_code`` is the process's own; None when a signal ended it, whose name is in ``signal``.
    """

    def __init__(self, reason: str, *, exit_code: int | None = None, signal: str | None = None) -> None:
        self.exit_code = exit_code
        self.signal = signal
        super().__init__(reason)


class RaisedInProcess(QueueError):
    """Stands for an error of an isolated handler whose own class cannot be had in the worker's process.

    Such are classes that cannot be pickled, and those of modules that only the handler's process has imported. What
    ``should_retry`` and ``retry`` get then is an instance of a subclass of this one, under the name of the original.
    """


def check_isolated(type: str, handler: Callable[..., Any], services: Mapping[str, Any], *, transactional: bool) -> None:
    """Raises InvalidJob when another process could not run *handler*, as far as its definition tells."""
    name = getattr(handler, "__qualname__", "")
    if "<" in name:
        rule = f"another process cannot find {name}; isolation needs a function or class at the top of a module"
        raise InvalidJob(type, rule)
    if services:
        wanted = ", ".join(services)
        raise InvalidJob(type, f"its handler asks for services ({wanted}), which stay in the worker's process")
    if transactional:
        raise InvalidJob(type, "is transactional and isolated, and a transaction cannot reach into another process")
