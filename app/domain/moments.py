"""Moments and durations a caller hands in, checked before they reach the database."""

import re
from datetime import UTC, datetime, timedelta

from app.domain.errors import InvalidInput

MAX_DELAY = 100 * 365 * 86_400.0
"""A hundred years in seconds: any moment reached by a delay stays within what Python and PostgreSQL can hold."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")

_FIRST_YEAR, _LAST_YEAR = 1900, 9990


def checked_moment(field: str, value: object) -> datetime:
    """*value* in UTC, if it is a datetime with a time zone in the years 1900 to 9990. Raises InvalidInput."""
    if not isinstance(value, datetime):
        raise InvalidInput(field, value, "must be a datetime")
    try:
        is_aware = value.utcoffset() is not None
        # In UTC, because PostgreSQL takes offsets of up to 16 hours only.
        moment = value.astimezone(UTC) if is_aware else value
    except Exception as error:  # a time zone is somebody's code, and the ends of the calendar overflow
        raise InvalidInput(field, value, "must have a time zone that works at this moment") from error
    if not is_aware:
        raise InvalidInput(field, value, "must have a time zone, for example datetime.now(timezone.utc)")
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        # PostgreSQL holds year 10000 and Python cannot read it back; both ends keep a distance.
        raise InvalidInput(field, value, f"must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


def checked_seconds(field: str, value: object, *, positive: bool = False) -> float:
    """*value* (seconds or a timedelta) in seconds, from 0 (or above it) to a hundred years. Raises InvalidInput."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidInput(field, value, "must be a number of seconds or a timedelta")
    if not 0 <= seconds <= MAX_DELAY or (positive and seconds == 0):
        low = "more than 0" if positive else "0 or more"
        raise InvalidInput(field, value, f"must be {low} seconds and at most a hundred years")
    return float(seconds)


def duration(text: str, field: str = "duration") -> float:
    """Seconds from text: a plain number of seconds, or parts such as ``90s``, ``5m``, ``1h30m``, ``7d``, ``250ms``.

    Raises InvalidInput, naming *field*.
    """
    plain = text.strip().lower()
    parts = _PART.findall(plain)
    if parts and not _PART.sub("", plain).strip():
        return checked_seconds(field, sum(float(number) * _UNITS[unit] for number, unit in parts))
    try:
        return checked_seconds(field, float(plain))
    except ValueError as error:
        raise InvalidInput(field, text, "must be seconds or a duration such as 90s, 5m, 7d") from error
