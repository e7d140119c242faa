"""The report: a run's results as files, JSON for machines, Markdown and a chart for people."""

import json
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.chart import chart


def write(results: dict[str, Any], folder: Path) -> list[Path]:
    """Write the dated files; a second run of a day takes the first one's place only when it is of another kind."""
    folder.mkdir(parents=True, exist_ok=True)
    base = f"{results['started'][:10]}-{results['kind'].replace(' ', '-')}"
    taken = 1
    while (folder / f"{base}{'' if taken == 1 else f'-{taken}'}.json").exists():
        taken += 1
    stem = base if taken == 1 else f"{base}-{taken}"
    files = {
        "json": json.dumps(results, indent=1, ensure_ascii=False) + "\n",
        "md": _markdown(results, f"{stem}.svg"),
        "svg": chart(results),
    }
    for ending, content in files.items():
        (folder / f"{stem}.{ending}").write_text(content)
    return [folder / f"{stem}.{ending}" for ending in files]


def _markdown(results: dict[str, Any], picture: str) -> str:
    systems, machine, server = results["systems"], results["machine"], results["server"]
    rounds = results["rounds"]
    parts = [
        f"# Benchmark of {results['started'][:10]} ({results['kind']})",
        f"{rounds} round{'s' if rounds != 1 else ''}, systems taking turns; medians, and the least and most below. "
        + ("**Interrupted: not all is here.** " if "finished" not in results else "")
        + f"Made by `python -m benchmarks`, {results['started']} to {results.get('finished', 'its interruption')}.",
        f"![The chart]({picture})",
        "## Figures",
        tables.markdown(list(systems), tables.values_table(results)),
        "\n".join(f"- {note}" for note in tables.footnotes(results)),
        "## Ratios",
        "How many times better ours is, whether more or less is better; of the floor, the share that ours reaches.",
        tables.markdown(list(systems), tables.ratios_table(results)),
        "## Machine",
        "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in machine.items()),
        f"- {server['version']}\n- " + ", ".join(f"`{name} = {value}`" for name, value in server["settings"].items()),
        "## Systems",
        *(_system(name, about) for name, about in systems.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _system(name: str, about: dict[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in about.get("versions", {}).items())
    lines = [f"**{name}** — {versions}", ""]
    lines += [f"- {setting}: {reason}" for setting, reason in about.get("settings", {}).items()]
    lines += [f"- {about['problem']}"] if "problem" in about else []
    return "\n".join(lines)
