"""Raised: an error on its way from the process of its handler to the worker."""

import io
import pickle
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from app.domain.jobs.answers import CancelTask, FailForGood, HandlerAnswer, RetryLater, Snooze
from app.domain.jobs.isolation import RaisedInProcess
from app.domain.tasks.failures import Failure

_MAX_PICKLED = 1024 * 1024


class TracebackThere(Exception):
    """The cause of an error that comes from another process: its traceback there, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


@dataclass(frozen=True, slots=True)
class Raised:
    """``answer`` is the class and arguments of a handler's answer, ``pickled`` the error itself where that works."""

    module: str
    name: str
    message: str
    traceback: str
    answer: tuple[type[HandlerAnswer], tuple[Any, ...]] | None
    pickled: bytes | None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Never raises, whatever *error* is like."""
        described = Failure.of(error)
        answer = _as_answer(error)
        return cls(
            module=type(error).__module__,
            name=type(error).__qualname__,
            message=described.message,
            traceback=described.traceback,
            answer=answer,
            pickled=None if answer else _pickled(error),
        )

    def error(self) -> BaseException:
        """The error again, or what stands for it; its cause shows where it was raised."""
        error = self._own() or stand_in(self.module, self.name)(self.message)
        error.__cause__ = TracebackThere(self.traceback)
        return error

    def _own(self) -> BaseException | None:
        if self.answer is not None:
            return self.answer[0](*self.answer[1])
        if self.pickled is None:
            return None
        try:
            error = _OfKnownModules(io.BytesIO(self.pickled)).load()
        except Exception:  # its class may do anything while it is made
            return None
        return error if isinstance(error, BaseException) else None


@lru_cache(maxsize=256)
def stand_in(module: str, name: str) -> type[RaisedInProcess]:
    """A RaisedInProcess that goes by the name of the class which cannot be had."""
    return type(name, (RaisedInProcess,), {"__module__": module, "__qualname__": name})


def _as_answer(error: BaseException) -> tuple[type[HandlerAnswer], tuple[Any, ...]] | None:
    """Answers are made anew of what they say, because they do not pickle: their arguments are not their text."""
    match error:
        case RetryLater():
            return RetryLater, (error.delay, str(error))
        case FailForGood():
            return FailForGood, (str(error),)
        case CancelTask():
            return CancelTask, (error.reason,)
        case Snooze():
            return Snooze, (error.delay,)
    return None


def _pickled(error: BaseException) -> bytes | None:
    """The error, if what comes out at the other end is the same, and not too much."""
    try:
        pickled = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        copy = pickle.loads(pickled)  # noqa: S301  # our own
        same = type(copy) is type(error) and str(copy) == str(error)
    except Exception:
        return None
    return pickled if same and len(pickled) <= _MAX_PICKLED else None


class _OfKnownModules(pickle.Unpickler):
    """Imports nothing: a library that only the handlers use must not get into the worker by way of its errors."""

    def find_class(self, module: str, name: str) -> Any:
        if module not in sys.modules:
            raise pickle.UnpicklingError(f"{module} is not imported here")
        return super().find_class(module, name)
