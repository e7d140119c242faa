"""Stopping: when a second wish to stop means to hurry."""

import pytest

from app.worker.stopping import Stopping


@pytest.mark.parametrize("order", [("", "supervisor"), ("supervisor", "")])
def test_one_signal_that_comes_by_two_ways_hurries_nobody(order: tuple[str, str]) -> None:
    """The process's own and the one that its supervisor passes on, whichever is heard first."""
    stopping = Stopping()

    for by in order:
        stopping.request(by)

    assert (True, False) == (stopping.requested, stopping.hurried)


@pytest.mark.parametrize("by", ["", "supervisor"])
def test_the_second_wish_of_the_same_hurries(by: str) -> None:
    """And goes on to, whoever asks after that."""
    stopping = Stopping()

    for each in (by, by, "another"):
        stopping.request(each)

    assert stopping.hurried
