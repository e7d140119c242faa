"""The root of every error this package raises on purpose, with the ones that belong to no noun."""

from typing import Any

_SHOWN = 120


class QueueError(Exception):
    """Root of every error raised on purpose; catch it to catch them all."""


class InvalidInput(QueueError, ValueError):
    """A value was refused at the call, and nothing was stored.

    ``field`` names the argument (a path such as ``payload.items[3]`` inside a payload), ``value`` is what was
    given, ``rule`` says what is allowed.
    """

    def __init__(self, field: str, value: Any, rule: str) -> None:
        self.field = field
        self.value = value
        self.rule = rule
        super().__init__(f"{field}: {rule} (given: {shown(value)})")


class DatabaseUnavailable(QueueError):
    """The database did not answer; what was asked has not been done, unless ``outcome_unknown`` says otherwise.

    ``outcome_unknown`` is true when the connection broke while the commit was under way: the work is then either
    wholly there or wholly absent, and only a look can tell.
    """

    def __init__(self, reason: str, *, outcome_unknown: bool = False) -> None:
        self.reason = reason
        self.outcome_unknown = outcome_unknown
        fate = (
            "the connection broke during the commit, so it is unknown whether the work was stored"
            if outcome_unknown
            else "nothing was stored"
        )
        super().__init__(f"The database is not available ({fate}): {reason}")


class SchemaMismatch(QueueError):
    """The database's schema is not the one this version works with; the message says what to run."""


def shown(value: Any, limit: int = _SHOWN) -> str:
    """*value* for a message: its repr, cut at *limit* characters, whatever its own ``__repr__`` does."""
    try:
        # A slice first: the repr of 50 MB of text costs 50 MB more.
        text = repr(value[: limit + 1] if isinstance(value, str | bytes) else value)
    except Exception:
        text = f"<{type(value).__name__} that cannot be shown>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else f"{text[:limit]}…"
