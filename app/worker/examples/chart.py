"""Charts as inline SVG, drawn by hand: their colours come from the page, so they follow its light or dark."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

_WIDTH = 720
_LABEL = 170
_ROW = 30
_PLOT_HEIGHT = 150
_MAX_LABEL = 22
_MAX_COLUMNS = 48
_DAY = 86_400
_STEPS = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 43_200, _DAY)
_LONG = 120
_SHORT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, in seconds, over *count* times."""

    label: str
    count: int
    fastest: float
    median: float
    p95: float
    slowest: float


def bars(counts: Mapping[str, int], *, title: str) -> str:
    """A bar for each entry, its name before it and its number behind; coloured by the class of the name."""
    longest = max(counts.values(), default=0) or 1
    room = _WIDTH - _LABEL - 80
    parts: list[str] = []
    for row, (name, count) in enumerate(counts.items()):
        middle = row * _ROW + _ROW / 2
        # A bar that is there can be seen, however small its share.
        length = max(room * count / longest, 3) if count else 0
        parts.append(_text(_LABEL - 12, middle, name, anchor="end"))
        parts.append(_bar(_LABEL, row * _ROW + 5, length, _ROW - 10, name=name, said=f"{name}: {count:,}", radius=3))
        parts.append(_text(_LABEL + length + 8, middle, f"{count:,}", style="number" if count else "faint"))
    return _svg(title, len(counts) * _ROW, parts)


def columns(moments: Sequence[tuple[datetime, str]], *, order: Sequence[str], title: str) -> str:
    """How many fell into each stretch of time, a column for each, stacked by name in *order*; times are UTC."""
    if not moments:
        return ""
    first, last = min(moments)[0], max(moments)[0]
    step = _step((last - first).total_seconds())
    start = first.timestamp() // step * step
    width = int((last.timestamp() - start) // step) + 1
    stacks: list[dict[str, int]] = [{} for _ in range(width)]
    for moment, name in moments:
        stack = stacks[int((moment.timestamp() - start) // step)]
        stack[name] = stack.get(name, 0) + 1
    tallest = max(sum(stack.values()) for stack in stacks)
    left, pitch = 52, min((_WIDTH - 60) / width, 44)
    top = 10
    parts = [_gridline(left, top, str(tallest)), _gridline(left, top + _PLOT_HEIGHT, "0")]
    for index, stack in enumerate(stacks):
        floor = float(top + _PLOT_HEIGHT)
        begins = datetime.fromtimestamp(start + index * step, tz=first.tzinfo)
        for name in order:
            if count := stack.get(name, 0):
                height = _PLOT_HEIGHT * count / tallest
                floor -= height
                said = f"{_clock(begins, step)}, {name}: {count:,}"
                parts.append(_bar(left + index * pitch + 1, floor, pitch - 2, height, name=name, said=said))
    ends = datetime.fromtimestamp(start + width * step, tz=first.tzinfo)
    under = top + _PLOT_HEIGHT + 18
    parts.append(_text(left, under, _clock(datetime.fromtimestamp(start, tz=first.tzinfo), step), style="faint"))
    # One or two columns leave no room between them for two labels.
    right = max(left + width * pitch, left + 260)
    parts.append(_text(right, under, _clock(ends, step), anchor="end", style="faint"))
    return _svg(title, under + 12, parts)


def ranges(spreads: Sequence[Spread], *, title: str) -> str:
    """A line from fastest to slowest for each, a dot at the median, on a logarithmic axis."""
    if not spreads:
        return ""
    low = math.floor(math.log10(max(min(spread.fastest for spread in spreads), 0.001)))
    high = max(math.ceil(math.log10(max(*(spread.slowest for spread in spreads), 0.001))), low + 1)
    room = _WIDTH - _LABEL - 90
    place = _logarithmic(_LABEL, room, low, high)
    bottom = len(spreads) * _ROW
    parts: list[str] = []
    for exponent in range(low, high + 1):
        x = place(10.0**exponent)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{bottom}"/>')
        name = f"{10**exponent:,} s" if exponent >= 0 else f"{10 ** (exponent + 3):,} ms"
        parts.append(_text(x, bottom + 14, name, anchor="middle", style="faint"))
    for row, spread in enumerate(spreads):
        y = row * _ROW + _ROW / 2
        said = (
            f"{spread.label}: median {duration(spread.median)}, fastest {duration(spread.fastest)}, "
            f"slowest {duration(spread.slowest)}, of {spread.count:,}"
        )
        parts.append(_text(_LABEL - 12, y, spread.label, anchor="end"))
        parts.append(
            f"<g><title>{escape(said)}</title>"
            f'<line class="range" x1="{place(spread.fastest):.1f}" y1="{y:.1f}" '
            f'x2="{place(spread.slowest):.1f}" y2="{y:.1f}"/>'
            f'<circle class="median" cx="{place(spread.median):.1f}" cy="{y:.1f}" r="5.5"/></g>'
        )
        parts.append(_text(_WIDTH, y, duration(spread.median), anchor="end", style="number"))
    return _svg(title, bottom + 26, parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``12 ms``, ``1.4 s``, ``3.0 min``."""
    if seconds < _SHORT:
        return f"{seconds * 1000:.0f} ms" if seconds >= _SHORT / 1000 else "< 1 ms"
    return f"{seconds:.1f} s" if seconds < _LONG else f"{seconds / 60:.1f} min"


def _logarithmic(left: float, room: float, low: int, high: int) -> Callable[[float], float]:
    def place(value: float) -> float:
        exponent = math.log10(max(value, 10.0**low))
        return left + room * min((exponent - low) / (high - low), 1)

    return place


def _step(seconds: float) -> int:
    for step in _STEPS:
        if seconds / step < _MAX_COLUMNS:
            return step
    return math.ceil(seconds / (_MAX_COLUMNS - 1) / _DAY) * _DAY


def _clock(moment: datetime, step: int) -> str:
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    return (
        f"{moment:%Y-%m-%d %H:%M:%S}" if timedelta(seconds=step) < timedelta(minutes=1) else f"{moment:%Y-%m-%d %H:%M}"
    )


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">\n{inside}\n</svg>'
    )


def _bar(x: float, y: float, width: float, height: float, *, name: str, said: str, radius: int = 0) -> str:
    return (
        f'<rect class="is-{escape(name)}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius}"><title>{escape(said)}</title></rect>'
    )


def _gridline(x: float, y: float, label: str) -> str:
    return f'<line class="grid" x1="{x}" y1="{y}" x2="{_WIDTH}" y2="{y}"/>' + _text(
        x - 8, y, label, anchor="end", style="faint"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", style: str = "label") -> str:
    shown = text if len(text) <= _MAX_LABEL else f"{text[: _MAX_LABEL - 1]}…"
    return f'<text class="{style}" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(shown)}</text>'
