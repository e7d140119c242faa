"""Tables: the results as aligned text for a terminal, and the same as Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarks.cases import CASES, Figure
from benchmarks.spreads import Spread, advantage, short, spreads

_SHARE = Figure(key="share", title="÷ without backlog", unit="×")
Row = tuple[str, list[str]]
_Notes = dict[tuple[str, str], tuple[int, str]]  # by system and case: the number and the text


def figures_of(name: str) -> Sequence[Figure]:
    figures = CASES[name].figures
    return (*figures, _SHARE) if name.startswith("W5.") and name != "W5.empty" else figures


def values_table(results: dict[str, Any]) -> list[Row]:
    """A row per figure: the median, and the least and most of the rounds."""
    found, footnotes = spreads(results), _footnotes(results)
    return [
        (_label(results, name, figure), [_cell(found, footnotes, name, figure, system) for system in _systems(results)])
        for name in results["cases"]
        for figure in figures_of(name)
    ]


def ratios_table(results: dict[str, Any]) -> list[Row]:
    """A row per figure: how many times better ours is than each; of the floor, what share ours reaches."""
    found = spreads(results)
    rows = []
    for name in results["cases"]:
        for figure in filter(lambda figure: figure.better, CASES[name].figures):
            ours = found.get((name, figure.key, "ours"))
            cells = []
            for system in _systems(results):
                theirs = found.get((name, figure.key, system))
                ratio = None if ours is None or theirs is None else advantage(figure, ours, theirs)
                if system == "ours" or ratio is None:
                    cells.append("1" if system == "ours" and ours else "—")
                elif system == "floor":
                    cells.append(f"{ratio:.0%}")
                else:
                    cells.append(f"×{short(ratio)}")
            if any(cell not in ("—", "1") for cell in cells):
                rows.append((_label(results, name, figure), cells))
    return rows


def footnotes(results: dict[str, Any]) -> list[str]:
    """Why there is no figure, numbered as in the table."""
    return [f"[{number}] {told}" for number, told in sorted(set(_footnotes(results).values()))]


def text(results: dict[str, Any]) -> str:
    """All of it for a terminal."""
    rounds = results["rounds"]
    parts = [
        f"Medians of {rounds} round{'s' if rounds != 1 else ''}, {load(results)}"
        + ("; least–most below" if rounds > 1 else ""),
        _aligned(_systems(results), values_table(results)),
        "How many times better ours is (above 1 is ahead; of the floor: what share ours reaches)",
        _aligned(_systems(results), ratios_table(results)),
    ]
    return "\n\n".join(parts) + "\n" + "\n".join(("", *footnotes(results)))


def load(results: dict[str, Any]) -> str:
    """How busy the machine was at both ends, by the average of a minute: at the end the run itself is in it."""
    machine = results["machine"]
    end = f"{machine['load_at_end']:.1f}" if "load_at_end" in machine else "unknown"
    return f"load {machine['load_at_start']:.1f} at the start and {end} at the end, on {machine['cores']} cores"


def markdown(systems: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [f"| | {' | '.join(systems)} |", f"|---|{'---:|' * len(systems)}"]
    lines += [f"| {label} | {' | '.join(cell.replace(chr(10), '<br>') for cell in cells)} |" for label, cells in rows]
    return "\n".join(lines)


def _systems(results: dict[str, Any]) -> list[str]:
    return list(results["systems"])


def _label(results: dict[str, Any], name: str, figure: Figure) -> str:
    title = results["cases"][name]["title"]
    words = f"{name} {title}" + (f": {figure.title}" if figure.title else "")
    return f"{words} [{figure.unit}]" if figure.unit else words


def _cell(found: dict[tuple[str, str, str], Spread], notes: _Notes, name: str, figure: Figure, system: str) -> str:
    spread = found.get((name, figure.key, system))
    note = f" [{notes[system, name][0]}]" if (system, name) in notes else ""
    if spread is None:
        return f"—{note}"
    if spread.rounds == 1:
        return short(spread.middle) + note
    return f"{short(spread.middle)}{note}\n{short(spread.least)}–{short(spread.most)}"


def _footnotes(results: dict[str, Any]) -> _Notes:
    """What is said of several cases, or in several rounds, has one number."""
    numbers: dict[str, int] = {}
    notes: _Notes = {}
    for one in results["measurements"]:
        if "cannot" in one:
            told = f"cannot: {one['cannot']}"
        elif "failed" in one:
            told = f"FAILED: {one['failed']}"
        else:
            told = one["values"].get("note")
        if told and (one["system"], one["case"]) not in notes:
            told = f"{one['system']} {told}"
            notes[one["system"], one["case"]] = numbers.setdefault(told, len(numbers) + 1), told
    return notes


def _aligned(systems: Sequence[str], rows: Sequence[Row]) -> str:
    first = max([len(label) for label, _ in rows], default=0)
    widths = [
        max([len(system), *(len(line) for _, cells in rows for line in cells[index].split("\n"))])
        for index, system in enumerate(systems)
    ]
    lines = [" " * first + "".join(f"  {name:>{width}}" for name, width in zip(systems, widths, strict=True))]
    for label, cells in rows:
        parts = [cell.split("\n") for cell in cells]
        for line in range(max(len(part) for part in parts)):
            words = (part[line] if line < len(part) else "" for part in parts)
            columns = "".join(f"  {word:>{width}}" for word, width in zip(words, widths, strict=True))
            lines.append(f"{label if line == 0 else '':<{first}}{columns}".rstrip())
    return "\n".join(lines)
