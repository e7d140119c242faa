"""Cron: expressions as people write them, and what is needed of whoever reads them."""

import re
from datetime import datetime
from typing import Protocol

from app.domain.errors import InvalidInput

MAX_LENGTH = 200
"""Characters of an expression: the longest sensible list of minutes fits, and nobody can make the reader work long."""

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = (5, 6)
_FIELD = re.compile(r"[0-9A-Za-z*,/#-]+")


class CronTimes(Protocol):
    """The moments that one expression names, as a clock on the wall shows them: no zone, whole seconds."""

    def after(self, local: datetime) -> datetime | None:
        """The first one later than *local*; None when there is none within fifty years."""
        ...

    def until(self, local: datetime) -> datetime | None:
        """The last one that is not later than *local*; None when there is none within fifty years."""
        ...


class Crons(Protocol):
    """Reads expressions."""

    def read(self, expression: str) -> CronTimes:
        """What *expression* names. Raises InvalidInput when it is none, or names no moment at all."""
        ...


def checked_cron(value: object) -> str:
    """*value* as fields, if it may be an expression: what each field may hold is the reader's to say.

    Five fields (minute, hour, day of month, month, day of week), six (seconds first), or a nickname.
    Raises InvalidInput.
    """
    if not isinstance(value, str):
        raise InvalidInput("cron", value, "must be text such as '0 2 * * *'")
    if len(value) > MAX_LENGTH:
        raise InvalidInput("cron", value, f"must have at most {MAX_LENGTH} characters, not {len(value)}")
    text = value.strip()
    if text.startswith("@"):
        if text.lower() not in NICKNAMES:
            raise InvalidInput("cron", value, f"must be one of {', '.join(NICKNAMES)}, or have five or six fields")
        return NICKNAMES[text.lower()]
    fields = text.split()
    if len(fields) not in FIELDS:
        rule = f"must have five fields (minute hour day month weekday), or six with seconds first, not {len(fields)}"
        raise InvalidInput("cron", value, rule)
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise InvalidInput("cron", value, f"must hold numbers, names and * , - / # L W, not {field!r}")
    return " ".join(fields)
