"""Which dead letters are meant: what a filter keeps when it is written down, and what it refuses."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.domain.dead_letters.filter import LetterFilter
from app.domain.dead_letters.repository import LetterPlace
from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.system import KnownJobs
from app.domain.tasks.deaths import DeathReason
from tests.examples import NOON, a_task, new_id

EVERYTHING: dict[str, Any] = {
    "type": "email:*",
    "queue": "post",
    "reason": DeathReason.POISON,
    "error": "100 % of\n'it'",
    "died_after": NOON,
    "died_before": NOON + timedelta(seconds=1, microseconds=5),
    "ids": (new_id(), new_id()),
}


def test_a_filter_is_read_back_as_it_was_written() -> None:
    """With all that it can say, and with nothing."""
    everything, nothing = LetterFilter(**EVERYTHING), LetterFilter()

    assert everything == LetterFilter.from_json(everything.as_json())
    assert ({}, nothing) == (nothing.as_json(), LetterFilter.from_json({}))
    assert EVERYTHING.keys() == everything.as_json().keys()


@pytest.mark.parametrize(
    "stored", [None, [], {"died_after": 7}, {"died_before": "soon"}, {"tenant": "a"}, {"ids": "a"}]
)
def test_what_is_no_filter_is_refused(stored: Any) -> None:
    """Whoever wrote it."""
    with pytest.raises(InvalidInput):
        LetterFilter.from_json(stored)


def test_a_filter_can_be_narrowed_to_the_past() -> None:
    """To the earlier of two moments, with all the rest as it was."""
    wanted = LetterFilter(**EVERYTHING)

    earlier, later = wanted.until(NOON), wanted.until(NOON + timedelta(days=1))

    assert (NOON, wanted.died_before) == (earlier.died_before, later.died_before)
    assert wanted == later
    assert NOON == LetterFilter().until(NOON).died_before


def test_moments_may_be_of_any_zone() -> None:
    """They are kept in UTC."""
    there = timezone(timedelta(hours=16, minutes=30))

    wanted = LetterFilter(died_after=datetime(2026, 3, 2, 4, 30, tzinfo=there))

    assert (NOON, UTC) == (wanted.died_after, wanted.died_after and wanted.died_after.tzinfo)


def test_only_what_has_ended_has_a_place() -> None:
    """A task that waits is no place to go on from."""
    with pytest.raises(InvalidInput, match=r"^after: "):
        LetterPlace.of(a_task())


def test_the_queues_own_jobs_go_before_an_applications() -> None:
    """Of the same type; neither catalog changes."""
    application, system = JobCatalog(), JobCatalog()
    application.define("app:a")(lambda payload, context: "theirs")
    ours = system.define("app:a")(lambda payload, context: "ours")

    known = KnownJobs(application, system)
    application.define("later")(lambda payload, context: None)

    assert (ours, ("app:a", "later"), 2) == (known.get("app:a"), known.types(), len(known))
    assert ((2, 1), application) == ((len(application), len(system)), known.application)
