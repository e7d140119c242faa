"""Logs: what handlers log in their process comes out where the worker logs."""

import logging
from collections.abc import Callable
from typing import Any

from app.worker.isolation.messages import Logged

_PLAIN = (str, int, float, bool, type(None))


class LogSender(logging.Handler):
    """In the handlers' process: passes every record on, as plain data."""

    def __init__(self, tell: Callable[[Logged], None]) -> None:
        super().__init__()
        self._tell = tell
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(Logged(self._plain(record)))
        except Exception:
            self.handleError(record)

    def _plain(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = {name: value for name, value in vars(record).items() if isinstance(value, _PLAIN)}
        fields |= {"msg": record.getMessage(), "args": None, "exc_info": None}
        if record.exc_info:
            fields["exc_text"] = self._formatter.formatException(record.exc_info)
        return fields


def log_again(logged: Logged) -> None:
    """In the worker: treat the record as one of its own."""
    record = logging.makeLogRecord(logged.record)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
