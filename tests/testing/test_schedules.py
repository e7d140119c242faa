"""Schedules on trial: they tick by the clock of the test."""

from datetime import UTC, datetime
from typing import Any

from app import JobCatalog, TaskContext
from app.testing import TrialQueue


def test_moving_the_clock_makes_schedules_tick() -> None:
    """A drain fires what has come since the last one, and runs it; where a clock is put forward too."""
    jobs = JobCatalog()
    seen: list[str] = []

    @jobs.define("report")
    def report(payload: Any, context: TaskContext) -> None:
        assert context.tick is not None
        seen.append(context.tick.at.isoformat())

    jobs.schedule(report, cron="0 2 * * *", timezone="America/New_York")
    with TrialQueue(jobs, now=datetime(2026, 3, 7, 12, tzinfo=UTC)) as queue:
        ran = [queue.drain()]
        for _ in range(2):
            queue.clock.advance(days=1)
            ran.append(queue.drain())

    assert [0, 1, 1] == ran
    assert ["2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"] == seen
