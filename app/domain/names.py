"""What a name may be: types, queues, tags, correlation ids, and the patterns that select among them."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from app.domain.errors import InvalidInput

MAX_NAME = 200


def checked_name(field: str, value: object, *, wildcard: bool = False) -> str:
    """*value*, if it may be a name: 1 to 200 characters, no control characters, no lone surrogates.

    ``*`` is kept for patterns and allowed only where *wildcard* is true.
    Raises InvalidInput.
    """
    if not isinstance(value, str):
        raise InvalidInput(field, value, "must be text")
    if not value:
        raise InvalidInput(field, value, "must not be empty")
    if len(value) > MAX_NAME:
        raise InvalidInput(field, value, f"must have at most {MAX_NAME} characters, not {len(value)}")
    if not wildcard and "*" in value:
        raise InvalidInput(field, value, "must not contain *, which is kept for patterns")
    if not _is_storable(value):
        raise InvalidInput(field, value, "must not contain control characters or lone surrogates")
    return value


def checked_names(field: str, values: Iterable[str] | None, *, wildcard: bool = False) -> tuple[str, ...]:
    """A tuple of checked names; a bare string is refused, as it would be read letter by letter."""
    if values is None:
        return ()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(field, values, "must be a list of text")
    return tuple(checked_name(f"{field}[{index}]", value, wildcard=wildcard) for index, value in enumerate(values))


def _is_storable(value: str) -> bool:
    if value.isascii() and value.isprintable():
        return True
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether *name* fits *pattern*, in which ``*`` stands for any run of characters and all else for itself."""
    return _compiled(pattern).fullmatch(name) is not None
