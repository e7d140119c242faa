"""python -m app schedules …: what operators see of what ticks, and do with it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app import TaskQueueContainer
from app.infra.settings import Settings
from tests.cli.jobs import jobs
from tests.cli.running import Cli

DAILY: dict[str, Any] = {"cron": "0 9 * * *", "timezone": "Asia/Tokyo", "payload": {"text": "a"}}


@pytest.fixture
def tasks(database_url: str) -> Iterator[TaskQueueContainer]:
    """Another program on the same queue, which has made one schedule at run time."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    tasks.create_schedule().execute("text:upper", key="daily", **DAILY)
    yield tasks
    tasks.close()


def test_the_list_tells_what_comes_and_what_was(cli: Cli, tasks: TaskQueueContainer, database_url: str) -> None:
    """Next and last runs, the last task, and below it a sentence for each thing that is wrong."""
    [fresh] = cli("schedules", "list", "--json").json
    task = tasks.run_schedule_now().execute("daily")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE worker.schedules SET cron = 'by hand'")
    told = cli("schedules", "list").out

    assert ("daily", "text:upper", "0 9 * * * (Asia/Tokyo)", "ticking") == tuple(
        fresh[name] for name in ("key", "type", "plan", "state")
    )
    assert 3 == len(fresh["next_ticks"])
    assert [None, None, []] == [fresh[name] for name in ("last_tick", "last_task_id", "warnings")]
    head, row, warning = told.splitlines()
    assert ["KEY", "TYPE", "PLAN", "STATE", "NEXT", "LAST", "LAST", "TASK"] == head.split()
    assert f"{task.id} pending" in row
    assert warning.startswith("daily: somebody changed it by hand, and it cannot be read: cron: ")


def test_a_schedule_is_paused_and_resumed(cli: Cli, tasks: TaskQueueContainer) -> None:
    """Both say what follows, and may be said twice."""
    told = [cli("schedules", verb, "daily").out for verb in ("pause", "pause", "resume", "resume")]
    paused = cli("schedules", "pause", "daily", "--json").json
    resumed = cli("schedules", "--json", "resume", "daily").json

    assert ["daily: paused\n"] * 2 == told[:2]
    assert told[2] == told[3]
    assert told[2].startswith("daily: ticks next at 20")
    assert told[2].endswith(" 00:00:00 UTC\n")
    assert (None, True) == (paused["next_tick"], paused["paused_at"] is not None)
    assert (None, "0 9 * * *") == (resumed["paused_at"], resumed["plan"]["cron"])


def test_a_schedule_is_run_and_its_history_told(cli: Cli, tasks: TaskQueueContainer) -> None:
    """With the task, and what became of it."""
    ran = cli("schedules", "run", "daily").out
    again = cli("schedules", "run", "daily", "--json").json
    history = cli("schedules", "history", "daily", "--json").json
    told = cli("schedules", "history", "daily", "--limit", "1").out

    assert ran.endswith(" text:upper: enqueued\n")
    assert {"text": "a"} == again["payload"]
    assert [again["id"], ran.split()[0]] == [run["task_id"] for run in history]
    assert {("manual", "fired", "pending", None)} == {
        (run["kind"], run["state"], run["task_status"], run["lateness"]) for run in history
    }
    assert (2, True) == (len(told.splitlines()), f"{again['id']} pending" in told)


def test_past_ticks_are_made_up_for(cli: Cli, tasks: TaskQueueContainer) -> None:
    """Those that have no task yet; both ends need a time zone."""
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = "--from", (until - timedelta(days=3)).isoformat(), "--to", until.isoformat()

    told = [cli("schedules", "backfill", "daily", *ends).out for _ in range(2)]
    too_many = cli("schedules", "backfill", "daily", "--from", "2020-01-01T00:00Z", *ends[2:], "--limit", "100")
    naive = cli("schedules", "backfill", "daily", "--from", "2020-01-01", *ends[2:])
    wrong = cli("schedules", "backfill", "daily", "--from", "yesterday", *ends[2:])

    assert ["daily: 3 task(s) enqueued\n", "daily: 0 task(s) enqueued\n"] == told
    assert (1, 2, 2) == (too_many.code, naive.code, wrong.code)
    assert "holds more than 100 ticks of schedule 'daily'" in too_many.err
    assert "argument --from: must have a time zone, as in 2030-01-31T09:00+01:00, not '2020-01-01'" in naive.err
    assert [{"schedule": "daily", "backfill": True}] * 3 == [
        {name: task["origin"][name] for name in ("schedule", "backfill")} for task in cli("list", "--json").json
    ]


def test_a_schedule_made_at_run_time_is_deleted(cli: Cli, tasks: TaskQueueContainer) -> None:
    """And is then not there for any other verb."""
    gone = cli("schedules", "delete", "daily").out
    refused = [cli("schedules", verb, "daily") for verb in ("delete", "pause", "resume", "run", "history")]

    assert "daily: deleted\n" == gone
    assert [1] * 5 == [one.code for one in refused]
    assert {"error: There is no schedule 'daily' of application 'default': `schedules list` has all\n"} == {
        one.err for one in refused
    }


def test_an_action_is_needed(cli: Cli) -> None:
    """And one that there is."""
    assert [2, 2, 2] == [cli("schedules", *asked).code for asked in ((), ("frobnicate",), ("pause",))]


def test_check_names_a_schedule_that_nobody_fires(cli: Cli, tasks: TaskQueueContainer, database_url: str) -> None:
    """As when no worker of its application runs; what is on time is no problem."""
    before = cli("check", "--json")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE worker.schedules SET look_at = now() - interval '5 minutes'")
    after = cli("check", "--json")

    told = [[one for one in json.loads(ended.out)["problems"] if "Schedule" in one] for ended in (before, after)]
    assert [] == told[0]
    assert told[1][0].startswith("Schedule 'daily' is due since 20")
    assert told[1][0].endswith(": no worker of application 'default' that knows 'text:upper' is at work.")
