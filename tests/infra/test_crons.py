"""Cron expressions: what is read, what is refused, and how long that takes at worst."""

import time
from contextlib import suppress
from datetime import datetime

import pytest

from app.domain.errors import InvalidInput
from app.infra.crons import CronSimCrons, _read
from tests.faults.waiting import measured

NEW_YEAR = datetime(2026, 1, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("* * * * *", "2026-01-01 00:01:00"),
        ("*/15 3 * * *", "2026-01-01 03:00:00"),
        ("30 15 2 * * *", "2026-01-01 02:15:30"),
        ("0 9 * * mon-fri", "2026-01-01 09:00:00"),
        ("0 0 * * 7", "2026-01-04 00:00:00"),
        ("0 0 * * 5L", "2026-01-30 00:00:00"),
        ("0 0 * * 5#2", "2026-01-09 00:00:00"),
        ("0 0 LW * *", "2026-01-30 00:00:00"),
        ("0 0 L 2 *", "2026-02-28 00:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 13 * 5", "2026-01-02 00:00:00"),  # the thirteenth or a Friday
        ("0 0 1-7 * */7", "2026-01-04 00:00:00"),  # the first Sunday
    ],
)
def test_an_expression_names_moments(expression: str, first: str) -> None:
    """Five fields, or six with seconds first."""
    times = CronSimCrons().read(expression)

    found = times.after(NEW_YEAR)

    assert found is not None
    assert first == str(found)
    assert (found, found) == (times.until(found), times.until(found.replace(microsecond=1)))


IMPOSSIBLE = ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 */30 * MON#2", "0 0 */29 2 MON#5", "0 0 30-31 2 *"]
WRONG = [
    "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *",
    "1- * * * *", ", * * * *", "* * * * MON#6", "* * * * L", "1/2/3 * * * *", "-1 * * * *", "* * * foo *",
    "9999999999999999999999999999 * * * *", "1-9999999999 * * * *", "* * W * *", "* * 1L * *", "* * * * #",
]  # fmt: skip
BOMBS = ["0-59/1," * 28 + "0 * * * *", "*,*,*,*,*,*,*,*,*,*,*,*,*,* * * * * *", "* * * * " + "1#1," * 46 + "1#5"]


@pytest.mark.parametrize("expression", [*IMPOSSIBLE, *WRONG])
def test_what_names_no_moment_is_refused(expression: str) -> None:
    """Rather than looked for when it should tick."""
    with pytest.raises(InvalidInput, match=r"^cron: must"):
        CronSimCrons().read(expression)


def test_every_answer_comes_within_ten_milliseconds() -> None:
    """Right or wrong, possible or not, the longest that is let in: time of the processor, as this machine has others,
    and the best of several, as they take its caches, too."""
    slowest = {}
    for expression in [*IMPOSSIBLE, *WRONG, *BOMBS]:
        times = []
        for _ in range(5):
            _read.cache_clear()
            began = time.thread_time()
            with suppress(InvalidInput):
                CronSimCrons().read(expression)
            times.append(time.thread_time() - began)
        slowest[expression] = min(times)

    worst = max(slowest, key=slowest.__getitem__)
    measured(f"the slowest of {len(slowest)} expressions takes {slowest[worst] * 1000:.2f} ms: {worst[:40]}")
    assert slowest[worst] < 0.01


def test_the_end_of_the_calendar_is_no_error() -> None:
    """Nothing comes after it."""
    times = CronSimCrons().read("0 0 29 2 *")

    assert None is times.after(datetime(9997, 1, 1))  # noqa: DTZ001
