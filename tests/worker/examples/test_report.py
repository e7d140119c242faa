"""report:generate, its files read back by the parsers of the standard library."""

import csv
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.domain.jobs.answers import FailForGood
from app.domain.jobs.context import TaskContext
from app.domain.tasks.statistics import TaskStats
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.worker.examples.report import COLUMNS, generate_report
from tests.examples import NOON, a_task

STATS = TaskStats(blocked=1, pending=22, running=3, completed=4_444, failed=5)
_VOID = {"meta", "line", "rect", "circle"}


class Page(HTMLParser):
    """A page's texts and tags; refuses one whose tags do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def generate(
    tasks: Sequence[WorkerTask] = (),
    payload: Any = None,
    *,
    folder: Path,
    task: WorkerTask | None = None,
    said: list[tuple[float, str | None]] | None = None,
) -> dict[str, Any]:
    reports: list[tuple[float, str | None]] = [] if said is None else said
    context = TaskContext(
        task or a_task(type="report:generate", started_at=NOON),
        "worker-1",
        report=lambda *report: reports.append(report[:2]),
    )
    return generate_report(
        payload, context, folder=folder, statistics=lambda: STATS, newest=lambda limit: list(tasks)[:limit]
    )


def lines(result: dict[str, Any]) -> list[dict[str, str]]:
    with Path(result["csv"]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def page(result: dict[str, Any]) -> Page:
    return Page(Path(result["html"]).read_text(encoding="utf-8"))


def ended(seconds: float, status: TaskStatus = TaskStatus.COMPLETED, **changes: Any) -> WorkerTask:
    return a_task(status=status, started_at=NOON, finished_at=NOON + timedelta(seconds=seconds), **changes)


def test_the_table_has_a_line_for_every_task(tmp_path: Path) -> None:
    """What is there is written as it is, times in UTC, and what is not there stays empty."""
    tasks = [
        ended(1.5, queue="mail", priority=-5, tags=("a", "b"), worker_id="w", correlation_id='Zoë, "x"\nline'),
        a_task(),
    ]

    result = generate(tasks, folder=tmp_path)

    first, second = lines(result)
    assert list(COLUMNS) == list(first)
    assert {
        "id": str(tasks[0].id),
        "status": "completed",
        "priority": "-5",
        "created_at": "2026-03-01T12:00:00+00:00",
        "duration": "1.5",
        "correlation_id": 'Zoë, "x"\nline',
        "tags": "a b",
    }.items() <= first.items()
    assert ("pending", "", "", "") == tuple(second[name] for name in ("status", "started_at", "duration", "error"))
    assert 2 == result["tasks"]


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_a_spreadsheet_finds_no_formula_in_a_cell(formula: str, tmp_path: Path) -> None:
    """Text that anybody may have enqueued is not run by whoever opens the table."""
    tasks = [a_task(type=formula, correlation_id=formula, tags=(formula,), error=formula)]

    (line,) = lines(generate(tasks, folder=tmp_path))

    assert [f"'{formula}"] * 4 == [line[name] for name in ("type", "correlation_id", "tags", "error")]


def test_the_table_and_the_page_keep_payloads_to_themselves(tmp_path: Path) -> None:
    """What a task works on may be secret; a report is passed around."""
    result = generate([a_task(payload={"x": "hidden"}, result="hidden")], folder=tmp_path)

    assert not any("hidden" in Path(result[kind]).read_text(encoding="utf-8") for kind in ("csv", "html"))


def test_the_page_has_pictures_and_numbers(tmp_path: Path) -> None:
    """Counts of the whole queue; times, durations and failures of the newest tasks."""
    tasks = [ended(2.0 * number, type="sync:crm") for number in range(1, 10)]
    tasks.append(ended(1, TaskStatus.FAILED, type="email:send", error="MailDeferred: later"))

    shown = page(generate(tasks, {"title": "Monday"}, folder=tmp_path))

    assert 3 == shown.tags.count("svg")
    assert {"Monday", "4,444", "22", "sync:crm", "10.0 s", "18.0 s", "MailDeferred: later"} <= set(shown.texts)
    assert "As of 2026-03-01 12:00:00 UTC, the newest 10 of 4,475 tasks looked at." in shown.texts


def test_the_page_shows_markup_as_text(tmp_path: Path) -> None:
    """Types, errors and titles come from anywhere, and none of them becomes part of the page."""
    evil = "</title><script>alert(1)</script>&amp;\"'$title"

    shown = page(generate([ended(1, TaskStatus.FAILED, type=evil, error=evil)], {"title": evil}, folder=tmp_path))

    assert "script" not in shown.tags
    assert shown.texts.count(evil) >= 3


@pytest.mark.parametrize("spread", [0, 1, 90, 4_000, 90_000, 40 * 86_400, 4_000 * 86_400], ids=str)
def test_any_stretch_of_time_fits_the_picture(spread: int, tmp_path: Path) -> None:
    """A second or ten years: fewer than fifty columns, and every task in one of them."""
    tasks = [a_task(created_at=NOON + timedelta(seconds=spread * part / 60)) for part in range(61)]

    html = Path(generate(tasks, folder=tmp_path)["html"]).read_text(encoding="utf-8")

    columns = [text for text in html.split("<title>") if ", pending: " in text]
    assert 1 <= len(columns) <= 49
    assert 61 == sum(int(text.split(", pending: ")[1].split("<")[0]) for text in columns)


@pytest.mark.parametrize("seconds", [0.0, 0.000_001, 0.0005, 1, 59, 100_000, -3])
def test_any_duration_fits_the_picture(seconds: float, tmp_path: Path) -> None:
    """Instant, endless, or ended before it began because the clock was set: the page is drawn."""
    shown = page(generate([ended(seconds), ended(1)], folder=tmp_path))

    assert "circle" in shown.tags


def test_an_empty_queue_has_a_report_too(tmp_path: Path) -> None:
    """Nothing to list is no error: the table has its head and the page its numbers."""
    result = generate(folder=tmp_path)

    assert ([], 0) == (lines(result), result["tasks"])
    assert 1 == page(result).tags.count("svg")


def test_the_payload_says_how_many_tasks(tmp_path: Path) -> None:
    """The newest ones, a thousand unless told."""
    tasks = [a_task() for _ in range(1_001)]

    assert 1_000 == generate(tasks, folder=tmp_path)["tasks"]
    assert 3 == generate(tasks, {"limit": 3}, folder=tmp_path)["tasks"]
    assert [str(task.id) for task in tasks[:3]] == [
        line["id"] for line in lines(generate(tasks, {"limit": 3}, folder=tmp_path))
    ]


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": "10"}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"title": ""}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"format": "pdf"}, "format"),
    ],
)
def test_a_wrong_field_fails_for_good_and_is_named(payload: dict[str, Any], field: str, tmp_path: Path) -> None:
    """A payload that does not fit writes nothing, and the sentence says which field it is."""
    with pytest.raises(FailForGood, match=rf"^payload\.{field}: .*\(the fields are limit, title\)$"):
        generate(payload=payload, folder=tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    """Whoever watches sees it rise from nothing to all, with a word on each step."""
    said: list[tuple[float, str | None]] = []

    generate(folder=tmp_path, said=said)

    percents = [percent for percent, _ in said]
    assert (0, 100) == (percents[0], percents[-1])
    assert sorted(percents) == percents
    assert all(message for _, message in said)


def test_a_second_attempt_replaces_the_files(tmp_path: Path) -> None:
    """One task leaves two files in a folder made for them, and nothing half-written beside them."""
    task = a_task(type="report:generate")

    first = generate([a_task()], folder=tmp_path / "reports", task=task)
    second = generate(folder=tmp_path / "reports", task=task)

    assert {**first, "tasks": 0} == second
    assert {f"{task.id}.csv", f"{task.id}.html"} == {file.name for file in (tmp_path / "reports").iterdir()}
    assert [] == lines(second)
