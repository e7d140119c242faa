"""Refusals: what is wrong of a schedule is named, with what was given and what is allowed."""

from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.schedules.errors import InvalidSchedule
from tests.contract.clockwork import MINUTE, Clockwork, handler
from tests.contract.subject import Queue
from tests.examples import REPORT


class Sales(BaseModel):
    title: str
    days: int = 1


@pytest.fixture
def modelled(queue: Queue) -> Clockwork:
    """With a job whose payload has a model."""
    jobs = JobCatalog()
    jobs.define(REPORT, payload=Sales)(handler)
    return Clockwork(queue, jobs)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"days": 2}, "does not fit Sales: title: Field required"),
        ({"title": "a", "days": "two"}, "does not fit Sales: days: Input should be a valid integer"),
        (None, "does not fit Sales: title: Field required"),
        ({"title": {1}}, r"payload\.title: must be JSON"),
        ("Sales", "must be an instance of Sales, not str"),
        (object(), "must be an instance of Sales, not object"),
    ],
)
def test_a_payload_that_does_not_fit_is_told_what_does_not(modelled: Clockwork, payload: Any, said: str) -> None:
    """
    A dict is taken for JSON of the model, as a right one is.
    """
    modelled.create("right", every=MINUTE, payload={"title": "a"})

    with pytest.raises(InvalidSchedule, match=said):
        modelled.create(every=MINUTE, payload=payload)

    assert ["right"] == [one.key for one in modelled.reports()]


@pytest.mark.parametrize("key", ["", " ", " a", "a\u00a0", "-a", "--json", "a\n", "*", "a" * 201, 5])
def test_a_wrong_key_is_refused_in_the_name_of_the_type(queue: Queue, key: Any) -> None:
    """
    In code as at run time, and nothing is stored.
    """
    clockwork = Clockwork(queue)
    refusals = []

    for verb in (clockwork.define, clockwork.create):
        with pytest.raises(InvalidSchedule, match=f"^schedule '{REPORT}': key: must ") as refused:
            verb(key, every=MINUTE)
        refusals.append((refused.value.schedule, refused.value.field, refused.value.value))

    assert [(REPORT, "key", key)] * 2 == refusals
    assert ([], ()) == (clockwork.reports(), clockwork.jobs.schedules)


def test_a_schedule_made_at_run_time_needs_a_key(queue: Queue) -> None:
    """
    The type of its job is none: that is the key of one in code.
    """
    with pytest.raises(InvalidSchedule, match="key: must be text"):
        Clockwork(queue).create(None, every=MINUTE)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["colour", "scheduled_at", "type", "origin", "cron"])
def test_once_is_told_which_options_there_are(queue: Queue, wrong: str) -> None:
    """
    Those that a task may have beside its type, its payload and its moment, which are said in other words.
    """
    clockwork = Clockwork(queue)
    kept = clockwork.once(delay=60, tags=["x"], ttl=60, correlation_id="c", version=1, max_attempts=2, timeout=5)

    with pytest.raises(InvalidInput, match=f"^{wrong}: is no option of a task for later: there are correlation_id, "):
        clockwork.once(delay=60, **{wrong: 1})

    assert (("x",), 1) == (kept.tags, clockwork.queue.stats().total)
