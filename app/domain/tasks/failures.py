"""Why an attempt failed, as text that is safe to store whatever the handler raised."""

import traceback
from dataclasses import dataclass
from datetime import datetime
from typing import Self

MAX_MESSAGE = 4_000
MAX_TRACEBACK = 20_000
_MAX_TYPE = 200
_NOTE = 60
"""Room for the note on what was left out, beyond the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptError:
    """One failed attempt, as kept on the task.

    ``attempt`` counts from 1; ``type`` is the exception's qualified class name; ``traceback`` is empty when the
    attempt did not end by an exception (a lost worker, a timeout).
    """

    attempt: int
    at: datetime
    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure not yet stored, cleaned and capped: 4,000 characters of message, 20,000 of traceback."""

    type: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Describe *error*; never raises, even when its ``__str__`` does."""
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return cls(
            type=storable(name, _MAX_TYPE),
            message=storable(_message_of(error), MAX_MESSAGE),
            traceback=storable(_traceback_of(error), MAX_TRACEBACK),
        )

    def __str__(self) -> str:
        name = self.type.rpartition(".")[2]
        return f"{name}: {self.message}" if self.message else name

    def recorded(self, *, attempt: int, at: datetime) -> AttemptError:
        return AttemptError(attempt=attempt, at=at, type=self.type, message=self.message, traceback=self.traceback)


def storable(text: str, limit: int) -> str:
    """*text* without NUL characters and lone surrogates, the middle cut out when longer than *limit*."""
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
    # What cannot be encoded becomes longer by being spelled out, so the limit is kept a second time.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()[: limit + _NOTE]


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:
        return f"<its message could not be read: {type(broken).__name__}>"


def _traceback_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error, limit=-40))
    except BaseException as broken:
        return f"<its traceback could not be read: {type(broken).__name__}>"
