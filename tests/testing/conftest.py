"""A queue for the shop's jobs, as its tests would make one."""

from collections.abc import Iterator

import pytest

from app.testing import TrialQueue
from tests.examples import NOON
from tests.testing.shop import Carrier, jobs


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


@pytest.fixture
def queue(carrier: Carrier) -> Iterator[TrialQueue]:
    """At noon, with nothing in it."""
    with TrialQueue(jobs, services={"carrier": carrier}, now=NOON) as queue:
        yield queue
