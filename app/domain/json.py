"""JSON that PostgreSQL can hold: checked once, encoded once, carried as text."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from app.domain.errors import InvalidInput

MAX_DEPTH = 128
MAX_CONTAINERS = 1_000_000
"""Each counts as often as it is held: thirty levels of ``[a, a]`` are thirty lists in memory and a billion as JSON."""
_MAX_PATH = 200
_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
_PLAIN = frozenset((str, int, bool, type(None)))


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value that passed the check, as the text that is stored; ``size`` is its bytes in UTF-8."""

    text: str
    size: int

    @classmethod
    def of(cls, value: Any, *, field: str, limit: int | None = None) -> Self:
        """Check and encode *value*.

        Refused, naming the path: NaN and infinities, NUL characters, lone surrogates, keys that are not text, cycles
        and nesting deeper than 128, anything JSON has no word for, and more than *limit* bytes of UTF-8.
        Raises InvalidInput.
        """
        return cls(*checked_json(value, field=field, limit=limit))

    def decoded(self) -> Any:
        return decoded(self.text)


def checked_json(value: Any, *, field: str, limit: int | None = None) -> tuple[str, int]:
    """What JsonText.of makes, as a bare text and its size."""
    try:
        text, size = _encoded(value)
    except _Refused as refused:
        raise InvalidInput(_path(field, refused), refused.value, refused.rule) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(field, value, f"cannot be written as JSON: {error}") from error
    if limit is not None and size > limit:
        raise InvalidInput(field, value, f"must be at most {limit} bytes as JSON, not {size}")
    return text, size


def decoded(text: str) -> Any:
    """The value of *text*, as json.loads has it; a good part of its cost is to look for blanks around the value."""
    try:
        value, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def _encoded(value: Any) -> tuple[str, int]:
    """The text of *value* and its size, once it has passed the check."""
    if _is_flat(value):
        text = _text_of(value)
        # NUL is the one character of ASCII that PostgreSQL cannot hold. Otherwise it is the check that knows what is
        # wrong, if anything is: these may also be a backslash and five characters.
        if text.isascii() and "\\u0000" not in text:
            return text, len(text)
    _check(value, 0, [MAX_CONTAINERS])
    text = _text_of(value)
    return text, len(text) if text.isascii() else len(text.encode())


def _is_flat(value: Any) -> bool:
    """Whether *value* is as most payloads are: a dict of text and numbers, to be checked for its characters alone."""
    if type(value) is not dict:
        return False
    for key, inner in value.items():
        kind = type(inner)
        if type(key) is not str or not (kind in _PLAIN or (kind is float and math.isfinite(inner))):
            return False
    return True


def _fast_encoder() -> Callable[[Any], str]:
    """``_ENCODER.encode`` without what it does anew for each value: half of the cost of a small one."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # no accelerator: another Python than CPython
        return _ENCODER.encode
    encode = make(
        None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", False, False, _ENCODER.allow_nan
    )
    return lambda value: "".join(encode(value, 0))


_text_of = _fast_encoder()


class _Refused(Exception):
    """What is wrong, found deep inside; the way to it is written down on the way out, as most values are right."""

    def __init__(self, value: Any, rule: str) -> None:
        self.value = value
        self.rule = rule
        self.places: list[str] = []


def _check(value: Any, depth: int, left: list[int]) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif value is None or isinstance(value, int):
        return
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Refused(value, "must be a finite number: JSON has no NaN and no infinity")
    elif not isinstance(value, dict | list | tuple):
        raise _Refused(value, f"must be JSON (dict, list, text, number, bool, None), not {type(value).__name__}")
    elif depth >= MAX_DEPTH:
        raise _Refused(type(value).__name__, f"must not nest deeper than {MAX_DEPTH}, or hold itself")
    elif left[0] <= 0:
        raise _Refused(type(value).__name__, f"must not hold more than {MAX_CONTAINERS} lists and dicts")
    elif isinstance(value, dict):
        left[0] -= 1
        _check_dict(value, depth, left)
    else:
        left[0] -= 1
        for index, inner in enumerate(value):
            try:
                _check(inner, depth + 1, left)
            except _Refused as refused:
                refused.places.append(f"[{index}]")
                raise


def _check_dict(value: dict[Any, Any], depth: int, left: list[int]) -> None:
    for key, inner in value.items():
        if not isinstance(key, str):
            raise _Refused(key, "must have text as its keys")
        try:
            _check_text(key)
        except _Refused as refused:
            refused.places.append(" (a key)")
            raise
        try:
            _check(inner, depth + 1, left)
        except _Refused as refused:
            refused.places.append(f".{key}")
            raise


def _check_text(value: str) -> None:
    if "\0" in value:
        raise _Refused(value, "must not contain NUL characters, which PostgreSQL cannot hold")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Refused(value, "must not contain lone surrogates, which UTF-8 cannot hold") from None


def _path(field: str, refused: _Refused) -> str:
    path = field + "".join(reversed(refused.places))
    return path if len(path) <= _MAX_PATH else f"{path[:_MAX_PATH]}…"
