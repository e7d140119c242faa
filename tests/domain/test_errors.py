"""Errors: their messages say what is wrong, whatever they are about."""

import pytest

from app.domain.errors import DatabaseUnavailable, InvalidInput, QueueError, shown


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_invalid_input_names_field_value_and_rule() -> None:
    """
    As attributes, and in its message.
    """
    error = InvalidInput("priority", "high", "must be a whole number")

    assert ("priority", "high", "must be a whole number") == (error.field, error.value, error.rule)
    assert "priority: must be a whole number (given: 'high')" == str(error)


def test_every_error_is_a_queue_error_and_an_invalid_input_a_value_error() -> None:
    """
    Who catches the root catches them all, and who expects Python's own is served too.
    """
    assert isinstance(InvalidInput("a", 1, "b"), QueueError)
    assert isinstance(InvalidInput("a", 1, "b"), ValueError)


def test_a_lost_commit_is_told_from_one_that_never_was() -> None:
    """
    The message says whether anything may have been stored.
    """
    assert "nothing was stored" in str(DatabaseUnavailable("gone"))
    assert "unknown whether" in str(DatabaseUnavailable("gone", outcome_unknown=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("short", "'short'"),
        (None, "None"),
        ("x" * 50_000_000, "'" + "x" * 119 + "…"),
        (b"y" * 50_000_000, "b'" + "y" * 118 + "…"),
        ("\ud800", "'\\ud800'"),
        (Unshowable(), "<Unshowable that cannot be shown>"),
    ],
    ids=["text", "none", "long text", "long bytes", "surrogate", "broken"],
)
def test_any_value_can_be_shown(value: object, expected: str) -> None:
    """
    Cut, cleaned, and never an error of its own.
    """
    assert expected == shown(value)
