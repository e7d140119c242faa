"""TrialClock: it stands still, and moves one way."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app import InvalidInput
from app.testing import TrialClock
from tests.examples import NOON


def test_a_clock_begins_where_it_is_told_and_stands_still() -> None:
    """In UTC, whatever zone it was told in; at the present when it was told nothing."""
    clock = TrialClock(NOON.astimezone(timezone(timedelta(hours=2))))
    before = datetime.now(UTC)
    present = TrialClock()

    assert NOON == clock.now() == clock.now()
    assert before <= present.now() <= datetime.now(UTC)
    assert present.now() == present.now()


def test_a_clock_is_moved_by_a_time_or_to_a_moment() -> None:
    """And says what time it is then."""
    clock = TrialClock(NOON)

    assert NOON + timedelta(days=3, hours=2, minutes=1, seconds=5) == clock.advance(
        days=3, hours=2, minutes=1, seconds=5
    )
    assert NOON + timedelta(days=4) == clock.move_to(NOON + timedelta(days=4)) == clock.now()


def test_a_clock_does_not_go_back() -> None:
    """A queue whose time goes back is none that anybody will ever have."""
    clock = TrialClock(NOON)

    with pytest.raises(InvalidInput, match="0 or more seconds"):
        clock.advance(seconds=-1)
    with pytest.raises(InvalidInput, match="must not lie before"):
        clock.move_to(NOON - timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="time zone"):
        clock.move_to(datetime(2030, 1, 1))  # noqa: DTZ001  # what is refused

    assert NOON == clock.now()
