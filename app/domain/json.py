"""JSON that PostgreSQL can hold: checked once, encoded once, carried as text."""

import json
import math
from dataclasses import dataclass
from typing import Any, Self

from app.domain.errors import InvalidInput

MAX_DEPTH = 128
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))


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
        _check(value, field, 0)
        try:
            text = _ENCODER.encode(value)
            size = len(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(field, value, f"cannot be written as JSON: {error}") from error
        if limit is not None and size > limit:
            raise InvalidInput(field, value, f"must be at most {limit} bytes as JSON, not {size}")
        return cls(text, size)

    def decoded(self) -> Any:
        return json.loads(self.text)


def _check(value: Any, path: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif value is None or isinstance(value, int):
        return
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(path, value, "must be a finite number: JSON has no NaN and no infinity")
    elif not isinstance(value, dict | list | tuple):
        rule = f"must be JSON (dict, list, text, number, bool, None), not {type(value).__name__}"
        raise InvalidInput(path, value, rule)
    elif depth >= MAX_DEPTH:
        raise InvalidInput(path[:200], type(value).__name__, f"must not nest deeper than {MAX_DEPTH}, or hold itself")
    elif isinstance(value, dict):
        _check_keys(value, path)
        for key, inner in value.items():
            _check(inner, f"{path}.{key}", depth + 1)
    else:
        for index, inner in enumerate(value):
            _check(inner, f"{path}[{index}]", depth + 1)


def _check_keys(value: dict[Any, Any], path: str) -> None:
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(path, key, "must have text as its keys")
        _check_text(key, f"{path} (a key)")


def _check_text(value: str, path: str) -> None:
    if "\0" in value:
        raise InvalidInput(path, value, "must not contain NUL characters, which PostgreSQL cannot hold")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(path, value, "must not contain lone surrogates, which UTF-8 cannot hold") from error
