"""migrate and check: what was done, and a sentence for each thing that is wrong."""

import json
import signal
from pathlib import Path

import psycopg
import pytest

from tests.cli.running import Cli, Running


@pytest.fixture
def unmigrated(call: Cli, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on a database with nothing in it."""
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    return call


def test_migrate_says_what_it_did(unmigrated: Cli) -> None:
    """From nothing to the revision, and then that nothing was to be done."""
    first, second = unmigrated("migrate", "--json").json, unmigrated("migrate", "--json").json

    assert (None, True) == (first["before"], first["changed"])
    assert {"before": first["after"], "after": first["after"], "changed": False} == second
    assert f"The schema is at revision {first['after']}\n" == unmigrated("migrate").out


def test_migrate_as_text_names_where_it_came_from(unmigrated: Cli) -> None:
    """It was at none."""
    assert unmigrated("migrate").out.endswith(", it was at none\n")


@pytest.mark.parametrize("arguments", [["enqueue", "a:b"], ["list"], ["stats"], ["worker", "--drain"]], ids=" ".join)
def test_without_a_schema_every_verb_says_migrate(unmigrated: Cli, arguments: list[str]) -> None:
    """One sentence that names the command."""
    ended = unmigrated(*arguments)

    assert (1, "") == (ended.code, ended.out)
    assert "run `python -m app migrate`" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


def test_check_without_a_schema_says_migrate(unmigrated: Cli) -> None:
    """And nothing else, for nothing else can be asked."""
    ended = unmigrated("check")

    assert (1, 1) == (ended.code, len(ended.out.splitlines()))
    assert "run `python -m app migrate`" in ended.out


def test_check_misses_a_worker_and_names_types_that_nobody_knows(cli: Cli) -> None:
    """A sentence each; a type of our own catalog is none of them."""
    for type in ("text:upper", "nobody:knows", "nobody:knows", "nor:this"):
        cli("enqueue", type)

    ended, as_json = cli("check"), cli("check", "--json")

    assert (1, 1) == (ended.code, as_json.code)
    worker, *unknown = ended.out.partition("\n\n")[0].splitlines()
    assert "No worker is alive" in worker
    assert ["2 due task(s) of type 'nobody:knows'", "1 due task(s) of type 'nor:this'"] == sorted(
        (line.partition(" wait")[0] for line in unknown), reverse=True
    )
    assert '"ok": false' in as_json.out


def test_check_tells_the_facts_below(cli: Cli) -> None:
    """A line each for people, and all of them under their names for programs."""
    cli("enqueue", "text:upper", "--queue", "mail")

    told, facts = cli("check").out, json.loads(cli("check", "--json").out)

    lines = dict(line.split(maxsplit=1) for line in told.partition("\n\n")[2].splitlines())
    names = ["schema", "connection", "notifications", "workers", "oldest", "snapshot", "dead", "upkeep", "clock"]
    assert names == list(lines)
    assert ("direct", "arrive", "0 alive") == (lines["connection"], lines["notifications"], lines["workers"])
    assert lines["oldest"].startswith("ready  mail ")
    assert ("direct", ["mail"]) == (facts["connection"], [waiting["queue"] for waiting in facts["waiting_queues"]])
    assert {"dead", "live", "share", "threshold", "vacuum_seconds"} == set(facts["dead_rows"])
    assert {"oldest", "unseen"} == set(facts["snapshots"])
    assert facts["clock"]["error"] < 5


def test_check_is_content_while_a_worker_lives(cli: Cli, database_url: str, tmp_path: Path) -> None:
    """Exit code 0, and the worker is among the facts; once it has left in good order it is missed again."""
    with Running(["worker"], folder=tmp_path, database_url=database_url, worker_jobs="tests.cli.jobs:jobs") as worker:
        worker.wait_until_said(" runs text:refuse, text:upper")
        facts, told = cli("check", "--json").json, cli("check").out
        code = worker.ended_by(signal.SIGTERM)

    assert (True, [], True) == (facts["ok"], facts["problems"], facts["notifications"])
    assert 1 == len(facts["workers"])
    assert "All is well." == told.splitlines()[0]
    assert 0 == code
    assert "No worker is alive" in cli("check").out


def test_migrate_lets_roles_in(cli: Cli, database_url: str) -> None:
    """By their names, as often as said; one that is not there is refused."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        names = [f"{kind}_{owner.info.dbname}" for kind in ("shop", "site", "desk")]
        for name in names:
            owner.execute(f'CREATE ROLE "{name}"'.encode())
        try:
            done = cli("migrate", "--producer", names[0], "--producer", names[1], "--operator", names[2], "--json").json
            told = cli("migrate", "--producer", names[0]).out
            may = {
                (name, function): owner.execute(
                    "SELECT has_function_privilege(%s, oid, 'EXECUTE') FROM pg_proc WHERE proname = %s"
                    " AND pronamespace = 'worker'::regnamespace",
                    (name, function),
                ).fetchall()
                for name in names
                for function in ("enqueue", "enqueue_many", "cancel", "retry")
            }
        finally:
            for name in names:
                owner.execute(f'DROP OWNED BY "{name}"'.encode())
                owner.execute(f'DROP ROLE "{name}"'.encode())
    refused = cli("migrate", "--operator", "nobody at all")

    assert (names[:2], names[2:]) == (done["producers"], done["operators"])
    assert told.endswith(f"\nproducers: {names[0]}\n")
    assert {(name, function) for (name, function), answer in may.items() if answer == [(True,)]} == {
        *((name, verb) for name in names[:2] for verb in ("enqueue", "enqueue_many")),
        *((names[2], verb) for verb in ("cancel", "retry")),
    }
    assert (1, True) == (refused.code, refused.err.startswith("error: operator: must be a role"))
