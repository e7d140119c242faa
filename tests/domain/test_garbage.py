"""left_alone: no collection while it runs, and afterwards all is as it was."""

import gc
from collections.abc import Iterator

import pytest

from app.domain.garbage import left_alone


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    yield
    gc.enable()


def test_nothing_is_collected_meanwhile() -> None:
    """And it is on again afterwards."""
    assert (False, True) == (left_alone(gc.isenabled)(), gc.isenabled())


def test_collecting_goes_on_after_a_failure() -> None:
    """Whatever was raised."""
    with pytest.raises(ZeroDivisionError):
        left_alone(lambda: 1 // 0)()

    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    """Its application has its reasons."""
    gc.disable()

    assert (False, False) == (left_alone(gc.isenabled)(), gc.isenabled())
