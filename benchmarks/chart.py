"""The chart: a panel per figure, a bar per system, the least and the most of the rounds as a line on it."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from benchmarks import tables
from benchmarks.cases import CASES, Figure
from benchmarks.spreads import Spread, short, spreads
from benchmarks.tables import figures_of

_COLUMNS = 3
_PANEL, _GAP, _MARGIN = 400, 28, 30
_NAME, _BAR, _ROW, _HEAD = 92, 200, 22, 46
_TOP = 84
_COLOURS = {"ours": "#0b6e4f", "floor": "#b8b8b8"}
_PEER = "#5b7db1"
_STYLE = """
text { font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 12px; fill: #222; }
.title { font-size: 18px; font-weight: bold; } .note { fill: #666; font-size: 11px; }
.head { font-size: 12px; font-weight: bold; } .ours { font-weight: bold; }
"""


def chart(results: dict[str, Any]) -> str:
    """An SVG of every figure that at least two systems have, and of W5's shares."""
    found = spreads(results)
    systems = list(results["systems"])
    panels = []
    for name, case in results["cases"].items():
        for figure in figures_of(name):
            bars = {
                system: found[name, figure.key, system] for system in systems if (name, figure.key, system) in found
            }
            # Of a backlog only what it changes, and that of one system too.
            shape = len(figures_of(name)) > len(CASES[name].figures)
            if figure.drawn and ((figure.key == "share") if shape else len(bars) > 1):
                panels.append(_panel(name, case["title"], figure, bars))
    heights = [height for height, _ in panels]
    rows = [max(heights[first : first + _COLUMNS]) for first in range(0, len(panels), _COLUMNS)]
    width = 2 * _MARGIN + _COLUMNS * _PANEL + (_COLUMNS - 1) * _GAP
    placed, top = [], _TOP
    for index, (_, body) in enumerate(panels):
        left = _MARGIN + index % _COLUMNS * (_PANEL + _GAP)
        placed.append(f'<g transform="translate({left},{top})">{body}</g>')
        if index % _COLUMNS == _COLUMNS - 1:
            top += rows[index // _COLUMNS] + _GAP
    height = _TOP + sum(rows) + _GAP * len(rows) + _MARGIN
    rounds = f"{results['rounds']} round" + ("s" if results["rounds"] != 1 else "")
    note = (
        f"{results['started'][:16]} · {results['kind']}, medians of {rounds}, lines are least to most · "
        f"{tables.load(results)} · {results['server']['version'].split(' on ')[0]} · a panel each has its own scale"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="white"/>'
        f'<text class="title" x="{_MARGIN}" y="38">Task queues on one PostgreSQL</text>'
        f'<text class="note" x="{_MARGIN}" y="58">{escape(note)}</text>{"".join(placed)}</svg>\n'
    )


def _panel(name: str, title: str, figure: Figure, bars: dict[str, Spread]) -> tuple[int, str]:
    longest = max(spread.most for spread in bars.values()) or 1.0
    what = ", ".join(filter(None, (figure.title, figure.unit)))
    better = "more is better" if figure.better == "more" else "less is better"
    parts = [
        f'<text class="head" y="12">{escape(f"{name}  {title}")}</text>',
        f'<text class="note" y="28">{escape(f"{what} · {better}")}</text>',
    ]
    for row, (system, spread) in enumerate(bars.items()):
        parts += _row(system, spread, longest, _HEAD + row * _ROW)
    return _HEAD + len(bars) * _ROW, "".join(parts)


def _row(system: str, spread: Spread, longest: float, top: float) -> Sequence[str]:
    def x(value: float) -> float:
        return round(_NAME + value / longest * _BAR, 1)

    middle = top + _ROW / 2 - 4
    bold = ' class="ours"' if system == "ours" else ""
    label = max(x(spread.middle), x(spread.most) if spread.rounds > 1 else 0) + 6
    bar = max(1.0, round(x(spread.middle) - _NAME, 1))
    parts = [
        f'<text{bold} x="{_NAME - 8}" y="{middle + 4}" text-anchor="end">{escape(system)}</text>',
        f'<rect x="{_NAME}" y="{top}" width="{bar}" height="{_ROW - 8}" fill="{_COLOURS.get(system, _PEER)}"/>',
        f'<text{bold} x="{label}" y="{middle + 4}">{short(spread.middle)}</text>',
    ]
    if spread.rounds > 1:
        parts.append(
            f'<path d="M{x(spread.least)} {middle - 3}v6m0 -3H{x(spread.most)}m0 -3v6" stroke="#222" fill="none"/>'
        )
    return parts
