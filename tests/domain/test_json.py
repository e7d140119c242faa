"""JsonText: what PostgreSQL can hold passes unchanged, the rest is refused by its path."""

import json
import math
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.json import MAX_CONTAINERS, MAX_DEPTH, JsonText

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cyclic_list() -> list[Any]:
    cycle: list[Any] = [1]
    cycle += [cycle, cycle]
    return cycle


def cyclic_dict() -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["self"] = {"inner": [cycle]}
    return cycle


@settings(derandomize=True, deadline=None, database=None)
@given(VALUES)
def test_json_comes_back_as_it_was_given(value: Any) -> None:
    """
    To the last bit of a float, and in the order of its keys.
    """
    encoded = JsonText.of(value, field="payload")

    assert repr(value) == repr(encoded.decoded())
    assert len(encoded.text.encode()) == encoded.size


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "payload"),
        ({"a": [1, float("inf")]}, "payload.a[1]"),
        ({"a": {"b": float("-inf")}}, "payload.a.b"),
        ({"a": "x\0y"}, "payload.a"),
        ({"x\0y": 1}, "payload (a key)"),
        ({"items": [0, 1, 2, "\ud800"]}, "payload.items[3]"),
        ({"\udfff": 1}, "payload (a key)"),
        ({1: "a"}, "payload"),
        ({"a": {None: 1}}, "payload.a"),
        ({"a": (1, {"b": {2.5: 0}})}, "payload.a[1].b"),
        (b"bytes", "payload"),
        ({"a": {1, 2}}, "payload.a"),
        ([datetime(2026, 1, 1)], "payload[0]"),  # noqa: DTZ001 - any datetime is refused
        ({"price": Decimal("1.5")}, "payload.price"),
        ([object()], "payload[0]"),
        ({"number": 10**5000}, "payload"),
    ],
)
def test_what_postgresql_cannot_hold_is_refused_by_its_path(value: Any, path: str) -> None:
    """
    The error names the place inside the value.
    """
    with pytest.raises(InvalidInput) as refused:
        JsonText.of(value, field="payload")

    assert path == refused.value.field


def test_nesting_is_allowed_up_to_a_depth() -> None:
    """
    The deepest that is allowed passes, one more is refused.
    """
    JsonText.of(nested(MAX_DEPTH), field="payload")

    with pytest.raises(InvalidInput, match=f"must not nest deeper than {MAX_DEPTH}"):
        JsonText.of(nested(MAX_DEPTH + 1), field="payload")
    with pytest.raises(InvalidInput, match="must not nest deeper"):
        JsonText.of(nested(100_000), field="payload")


@pytest.mark.parametrize("cycle", [cyclic_list(), cyclic_dict()], ids=["list", "dict"])
def test_a_value_that_holds_itself_is_refused(cycle: Any) -> None:
    """
    A cycle is a nesting without an end, and its error message has one.
    """
    with pytest.raises(InvalidInput, match="or hold itself") as refused:
        JsonText.of(cycle, field="payload")

    assert len(str(refused.value)) < 500


def test_a_value_used_twice_is_no_cycle() -> None:
    """
    The same list in two places is written twice.
    """
    shared = [1]

    assert [[1], [1]] == JsonText.of([shared, shared], field="payload").decoded()


def test_the_size_is_counted_in_bytes() -> None:
    """
    A limit holds for the UTF-8 that is stored, and exactly.
    """
    value = "ü" * 10

    assert 22 == JsonText.of(value, field="payload", limit=22).size
    with pytest.raises(InvalidInput, match="at most 21 bytes as JSON, not 22"):
        JsonText.of(value, field="payload", limit=21)


def test_subclasses_of_json_types_are_written_as_their_values() -> None:
    """
    Enumerations of text and numbers are common in payloads.
    """
    encoded = JsonText.of({"colour": Colour.RED, "size": Size.BIG, Colour.RED: (True,)}, field="payload")

    assert '{"colour":"red","size":3,"red":[true]}' == encoded.text


def test_the_text_is_json_and_nothing_more() -> None:
    """
    Written without blanks and without escapes that UTF-8 does not need.
    """
    encoded = JsonText.of({"ä": [1, "🐘"]}, field="payload")

    assert '{"ä":[1,"🐘"]}' == encoded.text
    assert {"ä": [1, "🐘"]} == json.loads(encoded.text)


@settings(derandomize=True, deadline=None, database=None)
@given(st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT))
def test_the_text_is_that_of_the_standard_library(value: Any) -> None:
    """Flat payloads take a shorter way to the same text."""
    if any(isinstance(inner, float) and math.isinf(inner) for inner in value.values()):
        with pytest.raises(InvalidInput, match="must be a finite number"):
            JsonText.of(value, field="payload")
    else:
        expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

        assert expected == JsonText.of(value, field="payload").text


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "a\\ud800"])
def test_what_looks_like_an_escape_is_text(text: str) -> None:
    """A backslash and five characters are no NUL."""
    assert {text: text} == JsonText.of({text: text}, field="payload").decoded()


def test_what_holds_itself_many_times_over_is_refused_in_time() -> None:
    """Forty levels of a list that holds the one below twice are small in memory and endless as JSON."""
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]

    with pytest.raises(InvalidInput) as refused:
        JsonText.of(value, field="payload")

    assert f"must not hold more than {MAX_CONTAINERS} lists and dicts" == refused.value.rule
