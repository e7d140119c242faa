"""Medians over rounds, and ratios between systems."""

from typing import Any

import pytest

from benchmarks.cases import CASES, Figure
from benchmarks.spreads import Spread, advantage, spreads

_MORE = Figure(key="rate", title="", unit="tasks/s")
_LESS = Figure(key="p50", title="p50", unit="ms", better="less")


def measured(case: str, system: str, number: int, **values: float) -> dict[str, Any]:
    return {"case": case, "system": system, "round": number, "values": values}


def test_a_figure_is_the_median_of_its_rounds_between_the_least_and_the_most() -> None:
    """An outlier moves the ends and not the middle."""
    rounds = [measured("W3", "ours", number, rate=rate) for number, rate in enumerate((900.0, 20.0, 1000.0), 1)]

    found = spreads({"measurements": rounds})

    assert Spread(middle=900.0, least=20.0, most=1000.0, rounds=3) == found["W3", "rate", "ours"]


def test_a_round_that_failed_or_could_not_be_is_no_figure() -> None:
    """A failure is not a zero, nor a round."""
    results = {
        "measurements": [
            measured("W3", "ours", 1, rate=10.0),
            {"case": "W3", "system": "ours", "round": 2, "failed": "1 task(s) never ran"},
            {"case": "W3", "system": "floor", "round": 1, "cannot": "no handlers"},
        ]
    }

    found = spreads(results)

    assert {("W3", "rate", "ours"): Spread(10.0, 10.0, 10.0, 1)} == found


def test_a_backlogs_share_is_of_the_same_systems_rate_in_the_same_round() -> None:
    """A machine that slows down from round to round does not show as a price of the backlog."""
    results = {
        "measurements": [
            measured("W5.empty", "ours", 1, rate=1000.0),
            measured("W5.empty", "ours", 2, rate=500.0),
            measured("W5.empty", "floor", 1, rate=7.0),
            measured("W5.queue", "ours", 1, rate=900.0),
            measured("W5.queue", "ours", 2, rate=450.0),
        ]
    }

    found = spreads(results)

    assert Spread(0.9, 0.9, 0.9, 2) == found["W5.queue", "share", "ours"]


@pytest.mark.parametrize(("figure", "ours", "theirs"), [(_MORE, 300.0, 100.0), (_LESS, 2.0, 6.0)])
def test_three_times_better_is_three_whether_more_or_less_is_better(figure: Figure, ours: float, theirs: float) -> None:
    """A reader need not know which way a figure goes."""
    found = advantage(figure, Spread.of([ours]), Spread.of([theirs]))

    assert 3.0 == found


@pytest.mark.parametrize("figure", [_MORE, _LESS])
def test_there_is_no_ratio_beside_a_nothing(figure: Figure) -> None:
    """Neither an error, nor an infinite lead, nor none."""
    nothing, something = Spread.of([0.0]), Spread.of([5.0])

    assert [None, None] == [advantage(figure, nothing, something), advantage(figure, something, nothing)]


def test_every_workload_of_a_case_is_there_to_be_run() -> None:
    """A case names the workload it runs, and with a backlog the one that makes it."""
    from benchmarks.shared.workloads import WORKLOADS

    made = {f"{case.backlog_of or case.name}.prepare" for case in CASES.values() if case.backlog}

    assert set() == (set(CASES) | made) - set(WORKLOADS)
