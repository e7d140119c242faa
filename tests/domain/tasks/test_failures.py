"""Failures: any exception becomes text that can be stored."""

import time

import pytest

from app.domain.tasks.failures import MAX_MESSAGE, MAX_TRACEBACK, Failure, storable
from tests.examples import NOON

NOTE = 60
"""What the sentence about what was left out may add."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Deadly(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Liar(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307 - as a careless class would


def failing(error: BaseException) -> Failure:
    """The failure of a handler that raised *error*."""
    try:
        raise error
    except BaseException as raised:
        return Failure.of(raised)


def test_a_failure_holds_type_message_and_traceback() -> None:
    """
    The type is qualified except for Python's own, the traceback names the place.
    """
    failure = failing(ValueError("bad"))

    assert ("ValueError", "bad", "ValueError: bad") == (failure.type, failure.message, str(failure))
    assert "in failing" in failure.traceback
    assert f"{__name__}.Mute" == failing(Mute()).type


def test_a_failure_without_words_is_named_by_its_type() -> None:
    """
    No colon without a message, no module in the line.
    """
    assert "KeyError" == str(failing(KeyError()))
    assert "Outage" == str(Failure("shop.mail.Outage", ""))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_an_exit_is_a_failure_like_another(error: BaseException) -> None:
    """
    A handler that raises SystemExit has failed.
    """
    assert type(error).__name__ == failing(error).type


@pytest.mark.parametrize(
    ("error", "cause"), [(Mute(), "RuntimeError"), (Deadly(), "KeyboardInterrupt"), (Liar(), "TypeError")]
)
def test_an_error_that_cannot_be_read_is_a_failure_all_the_same(error: Exception, cause: str) -> None:
    """
    Whatever its ``__str__`` raises.
    """
    failure = failing(error)

    assert f"<its message could not be read: {cause}>" == failure.message
    assert failure.traceback


def test_a_huge_message_is_cut_in_bounded_time() -> None:
    """
    Fifty megabytes of message leave their beginning and their end.
    """
    begun = time.monotonic()

    failure = failing(ValueError("begin" + "x" * 50_000_000 + "end"))

    assert failure.message.startswith("begin")
    assert failure.message.endswith("end")
    assert "characters left out" in failure.message
    assert len(failure.message) <= MAX_MESSAGE + NOTE
    assert len(failure.traceback) <= MAX_TRACEBACK + NOTE
    assert time.monotonic() - begun < 10


def test_an_endless_recursion_leaves_a_bounded_traceback() -> None:
    """
    As does a chain of many causes.
    """

    def recurse() -> None:
        recurse()

    chain = ValueError("first")
    for _ in range(5_000):
        link = ValueError("next")
        link.__cause__ = chain
        chain = link
    try:
        recurse()
    except RecursionError as error:
        recursion = Failure.of(error)

    assert "RecursionError" == recursion.type
    assert len(recursion.traceback) <= MAX_TRACEBACK + NOTE
    assert len(failing(chain).traceback) <= MAX_TRACEBACK + NOTE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud800b", "a\\ud800b"),
        ("🐘\u2028ü\x1b", "🐘\u2028ü\x1b"),
        (str(b"\x00\xff"), "b'\\x00\\xff'"),
    ],
)
def test_text_becomes_storable(text: str, expected: str) -> None:
    """
    Without what PostgreSQL or UTF-8 cannot hold, and otherwise as it was.
    """
    assert expected == storable(text, 100)


def test_text_is_cut_in_its_middle() -> None:
    """
    What was at its two ends stays, with the number of what is gone.
    """
    assert "aaaaa\n… 90 characters left out …\nbbbbb" == storable("a" * 50 + "b" * 50, 10)
    assert "a" * 10 == storable("a" * 10, 10)


@pytest.mark.parametrize("worst", ["\0", "\ud800"])
def test_the_worst_text_stays_bounded(worst: str) -> None:
    """
    Cleaning what is left after the cut makes it longer by a known factor at most.
    """
    text = storable(worst * 10_000_000, MAX_MESSAGE)

    assert len(text) <= 6 * MAX_MESSAGE + NOTE
    assert text == text.encode().decode().replace("\0", "")


def test_a_recorded_failure_knows_its_attempt_and_moment() -> None:
    """
    The rest is the failure's own.
    """
    recorded = Failure("T", "message", "traceback").recorded(attempt=2, at=NOON)

    assert (2, NOON, "T", "message", "traceback") == (
        recorded.attempt,
        recorded.at,
        recorded.type,
        recorded.message,
        recorded.traceback,
    )
