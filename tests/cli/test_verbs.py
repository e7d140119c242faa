"""Every verb on tasks: what it prints as JSON and as text, and what it answers to a mistake."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.cli.running import Cli, run

NAMES = {
    "id", "type", "payload", "status", "queue", "priority", "attempts", "max_attempts", "scheduled_at", "created_at",
    "started_at", "finished_at", "result", "error", "errors", "worker_id", "correlation_id", "progress",
    "progress_message",
}  # fmt: skip
"""What api.md promises of a task."""


def test_the_program_does_what_main_does(database_url: str, tmp_path: Path) -> None:
    """``python -m app`` reads its payload from standard input, and its exit codes are those of main."""
    enqueued = run(
        ["enqueue", "a:b", "--payload", "-", "--json"], folder=tmp_path, stdin="[1]", database_url=database_url
    )
    unknown = run(["show", str(uuid4())], folder=tmp_path, database_url=database_url)
    wrong = run(["frobnicate"], folder=tmp_path)

    assert [1] == enqueued.json["payload"]
    assert (1, "") == (unknown.code, unknown.out)
    assert 2 == wrong.code


def test_enqueue_prints_the_task_as_an_object(cli: Cli) -> None:
    """Under the names of WorkerTask, with what was asked for and the defaults."""
    task = cli(
        "enqueue", "text:upper", "--payload", '{"text": "ä"}', "--priority", "-7", "--queue", "slow", "--json"
    ).json

    assert NAMES <= task.keys()
    assert ("text:upper", {"text": "ä"}, -7, "slow") == tuple(task[n] for n in ("type", "payload", "priority", "queue"))
    assert ("pending", 0, 3, []) == tuple(task[n] for n in ("status", "attempts", "max_attempts", "errors"))
    assert 7 == UUID(task["id"]).version


def test_enqueue_says_the_id_first(cli: Cli) -> None:
    """So that a shell can cut it out of the text."""
    told = cli("enqueue", "text:upper").out

    assert told.split()[0] == cli("list", "--json").json[0]["id"]
    assert told.endswith("text:upper: enqueued\n")


def test_a_payload_may_be_a_file(cli: Cli, tmp_path: Path) -> None:
    """``@file``, in the working directory or by its path."""
    (tmp_path / "payload.json").write_text('{"text": "größer"}', encoding="utf-8")

    assert {"text": "größer"} == cli("enqueue", "a:b", "--payload", "@payload.json", "--json").json["payload"]


@pytest.mark.parametrize("payload", ["{", "@nowhere.json", "[" * 100_000])
def test_a_payload_that_cannot_be_read_is_wrong_usage(cli: Cli, payload: str) -> None:
    """The usage and a sentence, no traceback; nothing is stored."""
    ended = cli("enqueue", "a:b", "--payload", payload)

    assert 2 == ended.code
    assert "--payload" in ended.err
    assert "Traceback" not in ended.err
    assert [] == cli("list", "--json").json


@pytest.mark.parametrize("payload", ["NaN", '"\\u0000"', '"\\ud800"'])
def test_a_payload_that_cannot_be_stored_is_refused(cli: Cli, payload: str) -> None:
    """Exit code 1 and a sentence that names the payload."""
    ended = cli("enqueue", "a:b", "--payload", payload)

    assert (1, 1) == (ended.code, len(ended.err.splitlines()))
    assert ended.err.startswith("error: payload")


@pytest.mark.parametrize("arguments", [["email:*"], [""], ["a:b", "--queue", "*"], ["a:b", "--priority", str(2**31)]])
def test_a_task_that_cannot_be_is_refused(cli: Cli, arguments: list[str]) -> None:
    """Exit code 1, and nothing is stored."""
    assert 1 == cli("enqueue", *arguments).code
    assert [] == cli("list", "--json").json


def test_a_delay_puts_the_task_off(cli: Cli) -> None:
    """By the time given, counted from its creation."""
    task = cli("enqueue", "a:b", "--delay", "5m", "--json").json

    waits = datetime.fromisoformat(task["scheduled_at"]) - datetime.fromisoformat(task["created_at"])
    assert timedelta(minutes=5) == waits


def test_a_moment_puts_the_task_off(cli: Cli) -> None:
    """Until that moment, in whatever time zone it was said."""
    task = cli("enqueue", "a:b", "--at", "2100-01-31T09:00+02:00", "--json").json

    assert datetime(2100, 1, 31, 7, tzinfo=UTC) == datetime.fromisoformat(task["scheduled_at"])
    assert "pending until 2100-01-31 07:00:00 UTC" in cli("show", task["id"]).out


def test_a_moment_without_a_time_zone_is_refused(cli: Cli) -> None:
    """Exit code 2, as of any argument that cannot be read, and the sentence says what is missing."""
    ended = cli("enqueue", "a:b", "--at", "2100-01-31T09:00")

    assert 2 == ended.code
    assert "argument --at: must have a time zone, as in 2030-01-31T09:00+01:00" in ended.err
    assert [] == cli("list", "--json").json


@pytest.mark.parametrize(
    "arguments",
    [
        ["enqueue", "a:b", "--delay", "soon"],
        ["enqueue", "a:b", "--at", "tomorrow"],
        ["enqueue", "a:b", "--delay", "5m", "--at", "2100-01-31T09:00Z"],
        ["enqueue", "a:b", "--priority", "high"],
        ["enqueue"],
        ["list", "--limit", "0"],
        ["cleanup"],
        ["cleanup", "--older-than", "-1d"],
        ["show"],
        ["worker", "--concurrency", "0"],
        ["worker", "--concurrency", "many"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(call: Cli, arguments: list[str]) -> None:
    """Before anything is asked of a database, which is not there."""
    ended = call(*arguments)

    assert (2, "") == (ended.code, ended.out)
    assert "usage: python -m app" in ended.err


@pytest.mark.parametrize("verb", ["show", "cancel", "retry"])
def test_an_id_of_no_task_is_refused(cli: Cli, verb: str) -> None:
    """One sentence, whether the id is of nobody or is none at all."""
    nobody, none = cli(verb, str(uuid4())), cli(verb, "seven", "--json")

    assert (1, "") == (nobody.code, nobody.out)
    assert "There is no task" in nobody.err
    assert (1, "", 1) == (none.code, none.out, len(none.err.splitlines()))


def test_cancel_and_retry_print_the_task_they_changed(cli: Cli) -> None:
    """Cancelled, cancelled still, and due again."""
    id = cli("enqueue", "text:upper", "--json").json["id"]

    assert f"{id} text:upper: cancelled\n" == cli("cancel", id).out
    assert "cancelled" == cli("cancel", id, "--json").json["status"]
    assert "pending" == cli("retry", id, "--json").json["status"]
    cli("cancel", id)
    assert f"{id} text:upper: due again\n" == cli("retry", id, "--reset-attempts").out


def test_a_verb_in_the_wrong_state_is_refused(cli: Cli) -> None:
    """The sentence names the state and what is allowed."""
    id = cli("enqueue", "text:upper", "--json").json["id"]

    ended = cli("retry", id, "--json")

    assert (1, "") == (ended.code, ended.out)
    assert f"error: Cannot retry task {id}: it is pending, and must be failed or cancelled\n" == ended.err


def test_list_is_newest_first_and_obeys_every_filter(cli: Cli) -> None:
    """Type with wildcard, status, queue and limit."""
    for type, queue in (("mail:a", "x"), ("mail:b", "y"), ("other:c", "x"), ("mail:d", "x")):
        cli("enqueue", type, "--queue", queue)

    def types(*filters: str) -> list[str]:
        return [task["type"] for task in cli("list", "--json", *filters).json]

    assert ["mail:d", "other:c", "mail:b", "mail:a"] == types()
    assert ["mail:d", "mail:b"] == types("--type", "mail:*", "--limit", "2")
    assert ["mail:d", "mail:a"] == types("--type", "mail:*", "--queue", "x", "--status", "pending")
    assert [] == types("--status", "failed")


def test_list_as_text_is_a_table(cli: Cli) -> None:
    """A head and a line per task."""
    cli("enqueue", "mail:a")

    head, line = cli("list").out.splitlines()

    assert ["ID", "STATUS", "TYPE", "QUEUE", "PRIORITY", "ATTEMPTS", "CREATED", "ERROR"] == head.split()
    assert ["pending", "mail:a", "default", "0", "0/3"] == line.split()[1:6]


def test_an_unknown_status_is_refused(cli: Cli) -> None:
    """The sentence names those that there are."""
    ended = cli("list", "--status", "done")

    assert 1 == ended.code
    assert "completed" in ended.err


def test_stats_are_flat_counts_with_their_total(cli: Cli) -> None:
    """As JSON and as text."""
    cli("enqueue", "a:b")
    cli("cancel", cli("enqueue", "a:b", "--json").json["id"])

    counts = cli("stats", "--json").json

    assert {"blocked": 0, "pending": 1, "running": 0, "completed": 0, "failed": 0, "cancelled": 1, "total": 2} == counts
    assert ["total", "2"] == cli("stats").out.splitlines()[-1].split()


@pytest.mark.parametrize("by", ["type", "queue"])
def test_stats_may_be_told_by_type_and_by_queue(cli: Cli, by: str) -> None:
    """The same flat counts for each, with the durations of what has completed."""
    cli("enqueue", "text:upper", "--queue", "slow")

    [group] = cli("stats", "--by", by, "--json").json
    header, row = (line.split() for line in cli("stats", "--by", by).out.splitlines())

    name = {"type": "text:upper", "queue": "slow"}[by]
    assert (name, 1, 0, 1, None, None) == tuple(
        group[key] for key in ("name", "pending", "failed", "total", "p50", "p95")
    )
    assert ([by.upper(), "P50", "P95"], [name, "1"]) == ([header[0], *header[-2:]], [row[0], row[-1]])


def test_cleanup_says_how_many_it_removed(cli: Cli) -> None:
    """Only of what finished longer ago than asked."""
    cli("enqueue", "a:b")
    for _ in range(2):
        cli("cancel", cli("enqueue", "a:b", "--json").json["id"])

    assert {"removed": 0} == cli("cleanup", "--older-than", "7d", "--json").json
    assert "2 finished task(s) removed\n" == cli("cleanup", "--older-than", "0s").out
    assert 1 == cli("stats", "--json").json["total"]


def test_show_tells_what_became_of_a_task(cli: Cli, drain: Cli) -> None:
    """Its result, or its errors with their tracebacks."""
    good = cli("enqueue", "text:upper", "--payload", '{"text": "ada"}', "--json").json["id"]
    bad = cli("enqueue", "text:refuse", "--json").json["id"]

    assert {"attempts": 2} == drain("--json").json
    done, failed = cli("show", good, "--json").json, cli("show", bad, "--json").json

    assert ("completed", {"text": "ADA"}, 1) == (done["status"], done["result"], done["attempts"])
    assert NAMES <= done.keys()
    assert ("failed", 1) == (failed["status"], len(failed["errors"]))
    assert {"attempt", "at", "type", "message", "traceback"} == failed["errors"][0].keys()
    assert 'result      {"text": "ADA"}' in cli("show", good).out
    assert "attempt 1 failed at" in cli("show", bad).out
    assert "it is never right" in cli("list", "--status", "failed").out


def test_json_keeps_letters_as_they_are(cli: Cli) -> None:
    """What a person typed is what they read."""
    assert "größer" in cli("enqueue", "a:b", "--payload", json.dumps("größer"), "--json").out
