"""Whole numbers a caller hands in, checked against what a 32-bit column holds."""

from app.domain.errors import InvalidInput

INT32 = 2**31 - 1


def checked_whole_number(field: str, value: object, *, low: int = -INT32 - 1, high: int = INT32) -> int:
    """*value*, if it is a whole number between *low* and *high*. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(field, value, "must be a whole number")
    if not low <= value <= high:
        raise InvalidInput(field, value, f"must lie between {low} and {high}")
    return value
