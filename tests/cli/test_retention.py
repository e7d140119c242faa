"""retention: what the rules would have removed, as text and as JSON, and nothing is."""

import re

import psycopg
import pytest

from tests.cli.running import Cli

_ENDED = """
    INSERT INTO worker.finished (id, type, queue, status, priority, max_attempts, scheduled_at, created_at, payload,
        finished_at, shelf)
    SELECT gen_random_uuid(), 'email:send', 'default', status, 0, 3, ended, ended, '{}', ended, shelf
    FROM (VALUES ('completed', 8, 9, 0), ('failed', 2, 9, 0), ('failed', 3, 50, 1), ('failed', 4, 90, 2),
                 ('completed', 5, 0, 0)) AS given (status, number, days, shelf),
        generate_series(1, number), LATERAL (SELECT now() - days * interval '1 day' AS ended) AS moment
"""
_COUNTED = """
    INSERT INTO worker.tallies (day, type, queue, status, number, shelf)
    SELECT CAST(finished_at AT TIME ZONE 'UTC' AS date), type, queue, status, count(*), shelf FROM worker.finished
    GROUP BY 1, 2, 3, 4, 6
"""


@pytest.fixture
def history(database_url: str) -> None:
    """Ten tasks of nine days ago, three of fifty days ago that were kept, old dead letters, and some of today."""
    with psycopg.connect(database_url) as connection:
        connection.execute(_ENDED.encode())
        connection.execute(_COUNTED.encode())


def test_it_says_what_would_go_and_what_would_stay(cli: Cli, history: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    By day, kind and place, and how; and nothing of it is done.
    """
    monkeypatch.setenv("WORKER_RETENTION", "completed=7d, failed=30d")

    told, found = cli("retention"), cli("retention", "--json").json
    stats = cli("stats", "--json").json

    assert ["kept", "rest"] == [day["place"] for day in found["days"]]
    assert [(3, 0, "delete"), (8, 2, "delete")] == [(day["goes"], day["stays"], day["way"]) for day in found["days"]]
    assert [{"rule": "completed", "age": 604_800.0}, {"rule": "failed", "age": 2_592_000.0}] == found["rules"]
    assert (0, "11 would go, of days on which 2 more stay.") == (told.code, told.out.splitlines()[-1])
    assert 22 == stats["total"]


def test_without_rules_it_says_so(cli: Cli, history: None) -> None:
    """
    What has ended stays then.
    """
    told, found = cli("retention").out, cli("retention", "--json").json

    assert ("WORKER_RETENTION is not set: what has ended stays.\n", {"rules": [], "days": []}) == (told, found)


def test_nothing_that_is_old_enough_is_said(cli: Cli, history: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Rather than an empty table.
    """
    monkeypatch.setenv("WORKER_RETENTION", "*=365d")

    assert "Nothing is old enough to go.\n" == cli("retention").out


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("complete=7d", r"WORKER_RETENTION: rule 'complete' must begin with one of cancelled, completed, failed"),
        ("dead=7d", r"WORKER_RETENTION: rule 'dead' .* WORKER_DEAD_LETTER_TTL"),
    ],
)
def test_wrong_rules_stop_the_start(call: Cli, monkeypatch: pytest.MonkeyPatch, rules: str, said: str) -> None:
    """
    With the variable, the rule, and what is allowed.
    """
    monkeypatch.setenv("WORKER_RETENTION", rules)
    ended = call("worker")

    assert 1 == ended.code
    assert re.search(said, ended.err)
