"""The tables that a run ends with."""

from typing import Any

from benchmarks.tables import footnotes, ratios_table, text, values_table


def results(*measurements: dict[str, Any], cases: tuple[str, ...] = ("W3",)) -> dict[str, Any]:
    return {
        "rounds": 3,
        "machine": {"cores": 2, "load_at_start": 0.25, "load_at_end": 1.75},
        "systems": {"floor": {}, "ours": {}, "peer": {}},
        "cases": {name: {"title": "drain"} for name in cases},
        "measurements": list(measurements),
    }


def rate(system: str, number: int, value: float) -> dict[str, Any]:
    return {"case": "W3", "system": system, "round": number, "values": {"rate": value}}


def test_a_cell_holds_the_median_and_below_it_the_least_and_the_most() -> None:
    """What varies shows."""
    rows = values_table(results(rate("ours", 1, 200), rate("ours", 2, 900), rate("ours", 3, 300)))

    assert ("W3 drain [tasks/s]", ["—", "300\n200–900", "—"]) == rows[0]


def test_ratios_say_how_far_ahead_of_a_peer_and_what_share_of_the_floor() -> None:
    """They are of medians."""
    rows = ratios_table(results(rate("floor", 1, 1000), rate("ours", 1, 450), rate("peer", 1, 150)))

    assert [("W3 drain [tasks/s]", ["45%", "1", "×3"])] == rows


def test_a_figure_that_nobody_wins_has_no_ratio() -> None:
    """Who had the processors is told and not ranked."""
    measured = [
        {"case": "W3b", "system": system, "round": 1, "values": {"cores_workers": 1.0}} for system in ("ours", "peer")
    ]

    assert [] == ratios_table(results(*measured, cases=("W3b",)))


def test_a_failure_is_a_numbered_note_and_not_a_figure() -> None:
    """A system that ran a task twice has no rate to show."""
    failed = {"case": "W3", "system": "peer", "round": 1, "failed": "0 task(s) never ran, 1 ran more than once"}

    found = results(failed)

    assert ["—", "—", "— [1]"] == values_table(found)[0][1]
    assert ["[1] peer FAILED: 0 task(s) never ran, 1 ran more than once"] == footnotes(found)


def test_the_text_tells_how_busy_the_machine_was() -> None:
    """Figures of a busy machine are worth little."""
    assert "load 0.2 at the start and 1.8 at the end, on 2 cores" in text(results(rate("ours", 1, 200)))
