"""dead-letters: what each of its verbs does, prints and refuses, with a worker, without one, and in this process."""

import getpass
import io
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app import JobCatalog, NewTask, TaskQueueContainer
from app.cli.progress import ProgressBar
from app.infra.settings import Settings
from tests.cli.running import PATIENCE, Cli, Running, run
from tests.faults.waiting import eventually

MANY = 1_100
"""More than are dealt with within a call."""


@pytest.fixture
def letters(cli: Cli, drain: Cli) -> list[str]:
    """The ids of three dead letters, of a job that refuses everything; the earliest death first."""
    for text in ("a", "b", "c"):
        cli("enqueue", "text:refuse", "--payload", json.dumps({"text": text}))
    drain("--concurrency", "1")
    return [letter["id"] for letter in reversed(cli("dead-letters", "list", "--json").json)]


@pytest.fixture
def many(cli: Cli, drain: Cli, database_url: str) -> None:
    """So many dead letters that they are worked through by a task."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=JobCatalog())
    tasks.enqueue_tasks().execute([NewTask(type="text:refuse", max_attempts=1) for _ in range(MANY)])
    tasks.close()
    drain("--concurrency", "50")


def counted(cli: Cli) -> tuple[int, int]:
    """How many tasks of the job wait, and how many are dead letters."""
    letters = cli("dead-letters", "requeue", "--all", "--preview", "--json").json["total"]
    return len(cli("list", "--type", "text:*", "--status", "pending", "--limit", "10000", "--json").json), letters


def test_letters_are_listed_and_shown(cli: Cli, letters: list[str]) -> None:
    """As JSON under the names of WorkerTask; as text a line each, and a story with payload and error."""
    told = cli("dead-letters", "list").out
    story = cli("dead-letters", "show", letters[0]).out

    assert ["ID", *reversed(letters)] == [line.split()[0] for line in told.splitlines()]
    assert "text:refuse  default" in told
    assert all(what in story for what in ("rejected", '{"text": "a"}', "attempt 1 failed", "it is never right"))
    assert letters[0] == cli("dead-letters", "show", letters[0], "--json").json["id"]


def test_filters_choose(cli: Cli, letters: list[str]) -> None:
    """Those of the list, which all verbs know."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    chosen = {
        3: ["--type", "text:*", "--queue", "default", "--reason", "rejected", "--error", "never", "--since", "1h"],
        2: ["--limit", "2"],
        0: ["--until", "1h"],
    }

    for number, arguments in chosen.items():
        assert number == len(cli("dead-letters", "list", *arguments, "--json").json)
    assert 3 == len(cli("dead-letters", "list", "--until", soon, "--json").json)
    bored, naive = (cli("dead-letters", "list", *asked) for asked in (("--reason", "bored"), ("--since", "2026-01-01")))
    assert (2, True) == (bored.code, "choose from 'exhausted', 'rejected'" in bored.err)
    sentence = "argument --since: must have a time zone, as in 2030-01-31T09:00+01:00, not '2026-01-01'"
    assert (2, True) == (naive.code, sentence in naive.err)


def test_one_is_requeued_by_its_id(cli: Cli, letters: list[str]) -> None:
    """And the third time only by who insists; who did it is on record."""
    told = cli("dead-letters", "requeue", letters[0], "--by", "ada").out
    again = cli("dead-letters", "requeue", letters[0])

    assert f"{letters[0]} text:refuse: due again\n" == told
    assert (1, True) == (again.code, "is no dead letter: it is pending" in again.err)
    [action] = cli("dead-letters", "actions", "--json").json
    assert ("requeue", "ada", 1, {"ids": [letters[0]]}) == tuple(action[n] for n in ("kind", "actor", "done", "filter"))


def test_a_loop_is_stopped_unless_forced(cli: Cli, drain: Cli, letters: list[str]) -> None:
    """With a sentence that says how to insist."""
    for _ in range(2):
        assert 0 == cli("dead-letters", "requeue", letters[0]).code
        drain()

    refused = cli("dead-letters", "requeue", letters[0])
    left = cli("dead-letters", "requeue", *letters)
    forced = cli("dead-letters", "requeue", letters[0], "--force", "--json")

    assert (1, True) == (refused.code, "--force" in refused.err)
    assert (1, f"error: requeued twice already, left (see --force): {letters[0]}\n") == (left.code, left.err)
    twice = cli("dead-letters", "requeue", letters[0], letters[0].upper())
    assert (1, True) == (twice.code, letters[0] in twice.err)
    assert "2 of 3 dead letter(s) requeued; 1 left that were requeued twice already (see --force)\n" == left.out
    assert 3 == forced.json["requeues"]


@pytest.mark.parametrize("verb", ["requeue", "discard"])
def test_all_of_them_must_be_said(cli: Cli, letters: list[str], verb: str) -> None:
    """Nothing that chooses is wrong usage, not everything."""
    refused = cli("dead-letters", verb)

    assert (2, True) == (refused.code, "--all" in refused.err)
    assert (0, 3) == counted(cli)


def test_a_preview_says_what_would_be_done(cli: Cli, letters: list[str]) -> None:
    """By type and reason; nothing is."""
    told = cli("dead-letters", "requeue", "--reason", "rejected", "--preview").out
    preview = cli("dead-letters", "discard", "--all", "--preview", "--json").json
    old = cli("dead-letters", "purge", "--older-than", "0", "--preview", "--json").json

    assert ("text:refuse", "rejected", "3") == tuple(told.splitlines()[1].split()[:3])
    assert (True, 3, 0, 1) == (preview["preview"], preview["total"], preview["skipped"], len(preview["groups"]))
    assert preview == old
    assert [] == cli("dead-letters", "actions", "--json").json


def test_letters_are_discarded_and_purged(cli: Cli, letters: list[str]) -> None:
    """By id, by what they have in common, and by age; whoever runs the command did it."""
    one = cli("dead-letters", "discard", letters[0])
    young = cli("dead-letters", "purge", "--older-than", "1h", "--json").json
    rest = cli("dead-letters", "discard", "--type", "text:refuse").out

    assert f"{letters[0]} text:refuse: discarded\n" == one.out
    assert ("purge", 0) == (young["kind"], young["done"])
    assert "2 of 2 dead letter(s) discarded\n" == rest
    assert {getpass.getuser()} == {action["actor"] for action in cli("dead-letters", "actions", "--json").json}
    assert 4 == len(cli("dead-letters", "actions").out.splitlines())


def test_letters_are_exported_as_lines_of_json(cli: Cli, letters: list[str], tmp_path: Path) -> None:
    """To a file that was not there, or to stdout."""
    there = cli("dead-letters", "export", "-o", "letters.jsonl")
    again = cli("dead-letters", "export", "-o", "letters.jsonl")
    printed = cli("dead-letters", "export", "--limit", "2").out

    written = [json.loads(line) for line in (tmp_path / "letters.jsonl").read_text().splitlines()]
    assert ("3 dead letter(s) exported to letters.jsonl\n", 1) == (there.out, again.code)
    assert list(reversed(letters)) == [letter["id"] for letter in written]
    assert written[:2] == [json.loads(line) for line in printed.splitlines()]


@pytest.mark.usefixtures("many")
def test_a_worker_works_through_many_while_the_command_waits(cli: Cli, database_url: str, tmp_path: Path) -> None:
    """One of those that run such tasks; in a pipe there is no bar."""
    known = {"database_url": database_url, "worker_jobs": "tests.cli.jobs:jobs"}
    with Running(["worker", "--types", "app:*"], folder=tmp_path, **known) as worker:
        worker.wait_until_said("runs")
        done = run(["dead-letters", "requeue", "--all", "--rate", "5000"], folder=tmp_path, **known)

    assert (0, f"{MANY:,} of {MANY:,} dead letter(s) requeued\n", "") == (done.code, done.out, done.err)
    assert (MANY, 0) == counted(cli)


@pytest.mark.usefixtures("many")
def test_without_a_worker_it_can_be_done_here(cli: Cli, database_url: str, tmp_path: Path) -> None:
    """The command says that nobody would do it, and how it is done all the same."""
    known = {"database_url": database_url, "worker_jobs": "tests.cli.jobs:jobs"}
    refused = [cli("dead-letters", *asked) for asked in (("requeue", "--all"), ("purge", "--older-than", "0"))]
    nothing = cli("dead-letters", "actions", "--json").json, cli("list", "--type", "app:*", "--json").json
    detached = cli("dead-letters", "requeue", "--all", "--detach", "--json")
    done = run(["dead-letters", "discard", "--all", "--here", "--json"], folder=tmp_path, **known)

    assert [(1, True)] * 2 == [(one.code, "--here" in one.err) for one in refused]
    assert ([], []) == nothing, "what was refused is not done by the next worker"
    assert f"No worker is alive that would take task {detached.json['task_id']}: it waits for one\n" == detached.err
    assert (None, 0) == (detached.json["ended_at"], detached.json["done"])
    cli("cancel", detached.json["task_id"])
    states = [action["state"] for action in cli("dead-letters", "actions", "--json").json]
    assert ("waiting", ["done", "cancelled"]) == (detached.json["state"], states)
    assert "cancelled" in cli("dead-letters", "actions").out
    assert (0, MANY, MANY) == (done.code, done.json["done"], done.json["total"])
    assert (0, 0) == counted(cli)


@pytest.mark.usefixtures("many")
def test_ctrl_c_ends_the_following_and_stops_what_is_done_here(cli: Cli, database_url: str, tmp_path: Path) -> None:
    """Quietly, between two chunks; it says what goes on, how to stop it, and how to go on."""
    known = {"database_url": database_url, "worker_jobs": "tests.cli.jobs:jobs"}

    def done() -> int:
        return sum(action["done"] for action in cli("dead-letters", "actions", "--json").json)

    (tmp_path / "worker").mkdir()
    with Running(["worker", "--types", "app:*"], folder=tmp_path / "worker", **known) as worker:
        worker.wait_until_said("runs")
        with Running(["dead-letters", "discard", "--all", "--rate", "1"], folder=tmp_path, **known) as following:
            eventually(lambda: done() > 0, within=PATIENCE, what="under way", log=lambda: worker.log)
            code, said = following.ended_by(signal.SIGINT), following.log
        [action] = cli("dead-letters", "actions", "--json").json
        assert (130, 1, True) == (code, len(said.splitlines()), f"`python -m app cancel {action['task_id']}`" in said)
        cli("cancel", action["task_id"])
        worker.ended_by(signal.SIGTERM)

    begun = done()
    with Running(["dead-letters", "requeue", "--all", "--rate", "300", "--here"], folder=tmp_path, **known) as here:
        eventually(lambda: done() > begun, within=PATIENCE, what="a chunk is done", log=lambda: here.log)
        code, said = here.ended_by(signal.SIGINT), here.log
    [action, _] = cli("dead-letters", "actions", "--json").json
    assert (130, 1, "waiting", 0) == (code, len(said.splitlines()), action["state"], action["done"] % 300), said
    assert f"`python -m app dead-letters resume {action['id']}`" in said
    resumed = cli("dead-letters", "resume", action["id"])
    assert (0, "") == (resumed.code, resumed.err)
    assert f"{action['total']:,} of {action['total']:,} dead letter(s) requeued\n" == resumed.out


def test_what_does_not_exist_is_refused(cli: Cli) -> None:
    """With a sentence."""
    for verb in ("show", "requeue", "discard"):
        ended = cli("dead-letters", verb, str(uuid4()))
        assert (1, True) == (ended.code, "There is no task" in ended.err)


def test_what_was_asked_for_by_id_and_not_done_is_named(cli: Cli, letters: list[str]) -> None:
    """What is there is done all the same; the exit code is 1."""
    unknown = [str(uuid4()), str(uuid4())]

    for verb, past in (("requeue", "requeued"), ("discard", "discarded")):
        none = cli("dead-letters", verb, *unknown)
        some = cli("dead-letters", verb, *unknown, letters.pop())

        assert (1, f"error: no dead letter, or none that fits: {', '.join(unknown)}\n") == (none.code, none.err)
        assert (1, none.err, f"1 of 1 dead letter(s) {past}\n") == (some.code, some.err, some.out)


def test_only_a_dead_letter_is_shown_as_one(cli: Cli) -> None:
    """Any other task has a verb of its own."""
    task = cli("enqueue", "text:upper", "--json").json

    shown = cli("dead-letters", "show", task["id"])

    assert (1, "", True) == (shown.code, shown.out, "is no dead letter: it is pending" in shown.err)


def test_the_bar_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    """There it is drawn over itself, and ended; elsewhere, or where somebody wants JSON, there is none."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    outputs: list[Any] = [Terminal(), Terminal(), io.StringIO()]
    for output, quiet in zip(outputs, (False, True, False), strict=True):
        with ProgressBar("requeued", quiet=quiet, to=output) as bar:
            bar.draw(500, 1_000)
            bar.draw(1_000, 1_000)

    drawn, *nothing = (output.getvalue() for output in outputs)
    assert drawn.startswith("\rrequeued [" + "#" * 15 + "." * 15 + "]  50%  500 of 1,000\r")
    assert drawn.endswith("100%  1,000 of 1,000\n")
    assert ["", ""] == nothing
