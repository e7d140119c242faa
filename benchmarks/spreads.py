"""Spreads: medians over rounds, and what one system's figure is as a multiple of another's."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cases import CASES, Figure


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    middle: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(median(values), min(values), max(values), len(values))


def spreads(results: dict[str, Any]) -> dict[tuple[str, str, str], Spread]:
    """By case, figure and system. The parts of W5 have another figure, ``share``: of the rate without a backlog."""
    values: dict[tuple[str, str, str], list[float]] = {}
    alone = {
        (one["system"], one["round"]): one["values"]["rate"]
        for one in results["measurements"]
        if one["case"] == "W5.empty" and "values" in one
    }
    for one in results["measurements"]:
        if "values" not in one:
            continue
        name, system = one["case"], one["system"]
        for figure in CASES[name].figures:
            value = one["values"].get(figure.key)
            if value is not None:
                values.setdefault((name, figure.key, system), []).append(value)
        base = alone.get((system, one["round"]))
        if name.startswith("W5.") and name != "W5.empty" and base:
            values.setdefault((name, "share", system), []).append(one["values"]["rate"] / base)
    return {key: Spread.of(found) for key, found in values.items()}


def advantage(figure: Figure, ours: Spread, theirs: Spread) -> float | None:
    """How many times better our median is; above 1 is ahead, whether more or less is better. None beside a nothing."""
    over, under = (ours, theirs) if figure.better == "more" else (theirs, ours)
    return over.middle / under.middle if over.middle and under.middle else None


def short(value: float) -> str:
    """Three digits and a unit of thousands, as people read it."""
    for limit, divisor, letter in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit:
            return f"{value / divisor:.{1 if value / divisor < 100 else 0}f}{letter}"
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}"
