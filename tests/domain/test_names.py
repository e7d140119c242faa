"""Names and patterns: what a name may be, and which names a pattern selects."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.names import MAX_NAME, checked_name, checked_names, matches


@pytest.mark.parametrize(
    "name",
    ["email:send", "x", "x" * MAX_NAME, "🐘" * MAX_NAME, "with a blank", " ", "100%_\\'\"", "ünï\u2028", "ключ"],
)
def test_almost_any_text_may_be_a_name(name: str) -> None:
    """
    Names are the user's: any language, blanks, and what is special to SQL.
    """
    assert name == checked_name("type", name)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must not be empty"),
        ("x" * (MAX_NAME + 1), "must have at most 200 characters, not 201"),
        ("email:*", r"must not contain \*"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("\x1b[31m", "control characters"),
        ("a\x7fb", "control characters"),
        ("ü\x85", "control characters"),
        ("\ud800", "lone surrogates"),
        (None, "must be text"),
        (7, "must be text"),
        (b"email", "must be text"),
    ],
)
def test_any_other_name_is_refused(name: Any, rule: str) -> None:
    """
    The error names the field, the value and the rule.
    """
    with pytest.raises(InvalidInput, match=rule) as refused:
        checked_name("type", name)

    assert ("type", name) == (refused.value.field, refused.value.value)


def test_a_pattern_is_a_name_that_may_have_stars() -> None:
    """
    Where patterns are taken, the star passes and all else holds.
    """
    assert "email:*" == checked_name("type", "email:*", wildcard=True)
    with pytest.raises(InvalidInput):
        checked_name("type", "email:*\n", wildcard=True)


def test_names_come_as_a_list() -> None:
    """
    Of any kind, or None for none.
    """
    assert ("a", "b") == checked_names("tags", ["a", "b"])
    assert ("a",) == checked_names("tags", iter(("a",)))
    assert () == checked_names("tags", None)


@pytest.mark.parametrize(
    ("values", "field"), [("email", "tags"), (7, "tags"), (["a", ""], "tags[1]"), ([None], "tags[0]")]
)
def test_what_is_no_list_of_names_is_refused(values: Any, field: str) -> None:
    """
    A bare string above all, which would be read letter by letter.
    """
    with pytest.raises(InvalidInput) as refused:
        checked_names("tags", values)

    assert field == refused.value.field


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("email:send", "email:send", True),
        ("email:send", "email:sender", False),
        ("email:*", "email:", True),
        ("email:*", "email:a:b", True),
        ("email:*", "Email:a", False),
        ("*", "", True),
        ("*end", "email:send", True),
        ("e*:*d", "email:send", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
        ("a*", "a\nb", True),
        ("a", "a\n", False),
    ],
)
def test_a_star_stands_for_any_run_of_characters(pattern: str, name: str, expected: bool) -> None:
    """
    And every other character for itself.
    """
    assert expected == matches(pattern, name)


def fits(pattern: str, name: str) -> bool:
    """The definition, letter by letter."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(fits(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] == name[0] and fits(pattern[1:], name[1:])


@settings(derandomize=True, deadline=None, database=None)
@given(st.text("ab*.", max_size=6), st.text("ab.*", max_size=8))
def test_patterns_match_by_their_definition(pattern: str, name: str) -> None:
    """
    The quick way agrees with the slow one.
    """
    assert fits(pattern, name) == matches(pattern, name)
