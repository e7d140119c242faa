"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from math import ceil
from statistics import median
from string import Template

from app.domain.tasks.statistics import TaskStats
from app.domain.tasks.status import FINAL, TaskStatus
from app.domain.tasks.task import WorkerTask
from app.worker.examples import chart

_MAX_TYPES = 12
_MAX_FAILURES = 10
_MAX_ERROR = 300
_ENDED = (TaskStatus.COMPLETED, TaskStatus.FAILED)
_OPEN = tuple(status for status in TaskStatus if not status.is_final)

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b1f24; --soft: #5d6672; --line: #e2e6eb; --accent: #3b5bdb;
  --blocked: #8466c9; --pending: #c98a12; --running: #2f7de1; --completed: #16958a; --failed: #d6452b;
  --cancelled: #98a1ad;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --card: #1a1f25; --ink: #e7eaee; --soft: #9aa4b1; --line: #2c333c; --accent: #8ea6ff;
    --blocked: #a68be8; --pending: #e0ab45; --running: #5ea1f5; --completed: #38b8aa; --failed: #f0745c;
    --cancelled: #707a87;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 54rem; margin: 0 auto; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 0; font-size: 1.05rem; }
p { margin: 0.2rem 0 0; color: var(--soft); }
section, dl { margin: 1.25rem 0 0; padding: 1.25rem 1.4rem 1.4rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; overflow-x: auto; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.5rem, 1fr)); gap: 1rem; }
dt { color: var(--soft); font-size: 0.85rem; }
dt::before { content: ""; display: inline-block; width: 0.6rem; height: 0.6rem; margin-right: 0.4rem;
  border-radius: 2px; background: currentColor; }
dd { margin: 0; font-size: 1.55rem; font-weight: 600; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; min-width: 34rem; height: auto; margin-top: 1rem; }
svg text { font-size: 12.5px; fill: var(--ink); }
svg .number { font-weight: 600; font-variant-numeric: tabular-nums; }
svg .faint { fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .range { stroke: var(--accent); stroke-width: 5; stroke-linecap: round; opacity: 0.35; }
svg .median { fill: var(--accent); stroke: var(--card); stroke-width: 2; }
.is-blocked { fill: var(--blocked); } .is-pending { fill: var(--pending); } .is-running { fill: var(--running); }
.is-completed { fill: var(--completed); } .is-failed { fill: var(--failed); } .is-cancelled { fill: var(--cancelled); }
dt.is-blocked::before { background: var(--blocked); } dt.is-pending::before { background: var(--pending); }
dt.is-running::before { background: var(--running); } dt.is-completed::before { background: var(--completed); }
dt.is-failed::before { background: var(--failed); } dt.is-cancelled::before { background: var(--cancelled); }
table { width: 100%; min-width: 34rem; margin-top: 0.8rem; border-collapse: collapse; font-size: 0.92rem; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: 0.45rem 0.9rem 0.45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td { overflow-wrap: anywhere; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.when { white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--soft); }
</style>
</head>
<body>
<main>
<header><h1>$title</h1><p>$subtitle</p></header>
$content
</main>
</body>
</html>
""")


def page(*, title: str, at: datetime, stats: TaskStats, tasks: Sequence[WorkerTask]) -> str:
    """The whole queue's counts as of *at*, and what *tasks*, newest first, tell about the last while."""
    counts = {status.value: int(getattr(stats, status.value)) for status in TaskStatus}
    newest = f"the newest {len(tasks):,} of {stats.total:,} tasks"
    by_type = _by_type(tasks)
    spreads = [spread for type, group in by_type[:_MAX_TYPES] if (spread := _spread(type, group))]
    arrivals = chart.columns(
        [(task.created_at.astimezone(UTC), task.status.value) for task in tasks],
        order=[status.value for status in (*FINAL, *_OPEN)],
        title="Tasks by time",
    )
    parts = [
        _tiles(counts),
        _section("Tasks by status", "The whole queue.", chart.bars(counts, title="Tasks by status")),
        _section("Tasks by time", f"When {newest} were enqueued, coloured by where they stand (UTC).", arrivals),
        _section(
            "Durations by type",
            "From the fastest to the slowest latest attempt, with a dot at the median, on a logarithmic axis.",
            chart.ranges(spreads, title="Durations by type"),
        ),
        _section("Types", f"Among {newest}.", _types(by_type)),
        _section("Newest failures", "Tasks that are out of attempts.", _failures(tasks)),
    ]
    return _PAGE.substitute(
        title=escape(title),
        subtitle=f"As of {_when(at)} UTC, {newest} looked at.",
        content="\n".join(filter(None, parts)),
    )


def _section(title: str, text: str, content: str) -> str:
    """A card, or nothing when there is nothing to show in it."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{content}</section>" if content else ""


def _tiles(counts: dict[str, int]) -> str:
    tiles = "".join(f'<div><dt class="is-{name}">{name}</dt><dd>{count:,}</dd></div>' for name, count in counts.items())
    return f"<dl>{tiles}</dl>"


def _types(by_type: Sequence[tuple[str, Sequence[WorkerTask]]]) -> str:
    rows = []
    for type, group in by_type[:_MAX_TYPES]:
        spread = _spread(type, group)
        median_, p95 = (chart.duration(spread.median), chart.duration(spread.p95)) if spread else ("", "")
        done, failed = (_count(group, status) for status in _ENDED)
        rows.append((type, f"{len(group):,}", f"{done:,}", f"{failed:,}", median_, p95))
    if others := by_type[_MAX_TYPES:]:
        total = sum(len(group) for _, group in others)
        rows.append((f"{len(others):,} more types", f"{total:,}", "", "", "", ""))
    return _table(("type", "tasks", "completed", "failed", "median", "95 % within"), rows, numbers_from=1)


def _failures(tasks: Sequence[WorkerTask]) -> str:
    failed = [task for task in tasks if task.status is TaskStatus.FAILED]
    failed.sort(key=lambda task: task.finished_at or task.created_at, reverse=True)
    rows = "".join(
        f'<tr><td class="when">{_when(task.finished_at or task.created_at)}</td>'
        f"<td>{escape(task.type)}</td><td>{escape(_shortened(task.error or ''))}</td></tr>"
        for task in failed[:_MAX_FAILURES]
    )
    head = "<tr><th>ended (UTC)</th><th>type</th><th>error</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="{"n" if index >= numbers_from else "t"}">{escape(cell)}</{tag}>'
            for index, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    head = f"<tr>{line('th', heads)}</tr>"
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>" if body else ""


def _by_type(tasks: Iterable[WorkerTask]) -> list[tuple[str, list[WorkerTask]]]:
    groups: dict[str, list[WorkerTask]] = {}
    for task in tasks:
        groups.setdefault(task.type, []).append(task)
    return sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))


def _spread(type: str, tasks: Iterable[WorkerTask]) -> chart.Spread | None:
    seconds = sorted(
        task.duration for task in tasks if task.status in _ENDED and task.duration is not None and task.duration >= 0
    )
    if not seconds:
        return None
    return chart.Spread(
        label=type,
        count=len(seconds),
        fastest=seconds[0],
        median=median(seconds),
        p95=seconds[ceil(0.95 * len(seconds)) - 1],
        slowest=seconds[-1],
    )


def _count(tasks: Iterable[WorkerTask], status: TaskStatus) -> int:
    return sum(task.status is status for task in tasks)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_ERROR else f"{text[:_MAX_ERROR]}…"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
